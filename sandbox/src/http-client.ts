// All that is used of undici. Imported by name when it is needed: a bundle's import() of a CommonJS package has no names.
export { Client } from 'undici';
