// A module of its own, so that Ajv is loaded only where a schema is met. A static import keeps the named exports of a
// CommonJS package in a bundle that is split into chunks.
export { Ajv } from 'ajv';
export { Ajv2020 } from 'ajv/dist/2020.js';
