export * from './errors.ts';
export { openSqliteStore, type SqliteStoreOptions } from './sqlite/sqlite-store.ts';
export { lockStore } from './sqlite/lock.ts';
export { mintStepToken, verifyStepToken, type StepClaims } from './step-token.ts';
export * from './store.ts';
