export type { ArchiveFailure, ArchiveOptions, ArchiveReport } from './archive/archive.ts';
export type { DecisionRecord, Describe } from './archive/record.ts';
export { enforceRetention, expiredRuns, type RetentionPolicy, type RetentionStore } from './archive/retention.ts';
export {
  BlobDamagedError,
  BlobMissingError,
  blobsIn,
  type BlobRef,
  type Blobs,
  type StoredBlob,
} from './blobs/blobs.ts';
export { openFolder } from './blobs/folder.ts';
export { ObjectMissingError, type ObjectEntry, type ObjectStore } from './blobs/objects.ts';
export { collectBlobs, withBlobs, type OffloadOptions } from './blobs/offload.ts';
export { openS3 } from './blobs/s3.ts';
export type { S3Credentials, S3Options } from './blobs/s3-client.ts';
export { BoundedMap } from './bounded-map.ts';
export type { Conversations, Turn } from './conversations.ts';
export type { Decision, DecisionFilter, Decisions } from './decisions.ts';
export * from './errors.ts';
export type { Journal, JournalEntry, JournalKey } from './journal.ts';
export type {
  ChunkClaim,
  FoundChunk,
  FoundChunks,
  KnowledgeChunk,
  KnowledgeDocument,
  KnowledgeHead,
  KnowledgeIndex,
  KnowledgeName,
  KnowledgeState,
} from './knowledge.ts';
export type {
  Amount,
  Balance,
  Charge,
  Count,
  Ledger,
  Reservation,
  ReservationResult,
  Shortfall,
  Spent,
} from './ledger.ts';
export { objectName } from './object-name.ts';
export { isPostgres, openPostgresStore, openStore } from './open.ts';
export type { PostgresStoreOptions } from './postgres/settings.ts';
export { openSqliteStore, type SqliteStoreOptions } from './sqlite/sqlite-store.ts';
export { lockStore } from './sqlite/lock.ts';
export { runEnd, type RunEnd } from './run-end.ts';
export {
  unwantedBecause,
  type RequestedRun,
  type RunRequest,
  type RunRequestRecord,
  type RunRequests,
} from './run-requests.ts';
export {
  sandboxPool,
  sandboxPoolKey,
  type OfferedSandbox,
  type SandboxClaim,
  type Sandboxes,
  type SandboxOffer,
  type SandboxPlace,
  type SandboxPool,
} from './sandboxes.ts';
export {
  delegatedClaims,
  delegatorsOf,
  mintStepToken,
  stepOfWorkflow,
  verifyStepToken,
  type StepClaims,
} from './step-token.ts';
export * from './store.ts';
