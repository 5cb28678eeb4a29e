// A module of its own, so that undici, the heaviest import, can be loaded after the agent is ready. CommonJS packages
// lose their named exports when a bundler turns `await import()` of them into a chunk; a static import keeps them.
export { Agent, request } from 'undici';
