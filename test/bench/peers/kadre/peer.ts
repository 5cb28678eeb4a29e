// One program, two processes: the engine, and the endpoints that it asks.
if (process.argv[2] === 'endpoints') await import('./endpoints.ts');
else await import('./engine.ts');
