// Imported by name when it is needed: a bundle's import() of a CommonJS package has no names.
export { parse } from 'yaml';
