// What PostgreSQL's error codes mean to a caller. https://www.postgresql.org/docs/current/errcodes-appendix.html
import {
  StoreBusyError,
  StoreClosedError,
  StoreFullError,
  StoreInterruptedError,
  StoreUnusableError,
} from '../errors.ts';
import type { Settings } from './settings.ts';

/**
 * - away: the connection could not be made, or broke; the next one may succeed
 * - undone: the server took the whole statement back, and it may succeed if it is done again
 * - final: doing it again helps nobody
 */
export type Kind = 'away' | 'undone' | 'final';

const AWAY = new Set(['53300', '57P01', '57P02', '57P03', '57P05', '25P03']);
// A server that takes no writes may be the former primary: the next connection leads to the new one.
const READ_ONLY = '25006';
const UNDONE = new Set(['40001', '40P01', READ_ONLY]);
const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);
/** The driver's own errors have no code. */
const BROKEN =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered)/;

export function kindOf(error: unknown): Kind {
  const code = codeOf(error);
  if (code === undefined) return error instanceof Error && BROKEN.test(error.message) ? 'away' : 'final';
  if (NETWORK.has(code) || AWAY.has(code) || code.startsWith('08')) return 'away';
  return UNDONE.has(code) ? 'undone' : 'final';
}

/** The server speaks of a single statement: the transaction is undone for certain, and the connection lives on. */
export function isAnswer(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error && error.severity === 'ERROR';
}

/** Whether the connection leads to a server that can't do what is asked of it. */
export function isReadOnly(error: unknown): boolean {
  return codeOf(error) === READ_ONLY;
}

type About = Pick<Settings, 'where' | 'user' | 'database' | 'schema'>;

const MEANINGS: Record<string, (about: About, said: string) => Error> = {
  '53100': ({ where }, said) =>
    new StoreFullError(`no room left on the disk of ${where}: free some space or give it more (${said})`),
  '55P03': ({ where }, said) => new StoreBusyError(`${where} was busy for too long (${said})`),
  '57014': ({ where }, said) => new StoreBusyError(`${where} was busy for too long (${said})`),
  [READ_ONLY]: ({ where }) =>
    new StoreUnusableError(`${where} is read-only: name the primary, or end the read-only mode of the database`),
  '28P01': ({ where, user }) =>
    new StoreUnusableError(`${where} refuses the password of user ${user}: correct it in the store's URL`),
  '28000': ({ where, user }, said) =>
    new StoreUnusableError(`${where} refuses user ${user}: ${said}. Correct pg_hba.conf, the user, or sslmode`),
  '3D000': ({ where, user, database }) =>
    new StoreUnusableError(`${where} does not exist: make it with CREATE DATABASE ${database} OWNER ${user}`),
  '42501': ({ where, user, database, schema }, said) =>
    new StoreUnusableError(
      `user ${user} may not use ${where} as a store (${said}): GRANT CREATE ON DATABASE ${database} TO ${user}, or CREATE SCHEMA ${schema} AUTHORIZATION ${user}`,
    ),
  '3F000': damaged,
  '42P01': damaged,
  '42703': damaged,
  '42883': damaged,
  XX001: damaged,
  XX002: damaged,
  '58030': damaged,
};

function damaged({ where, schema }: About, said: string): Error {
  return new StoreUnusableError(`the schema ${schema} in ${where} is damaged: restore it from a backup (${said})`);
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO/;

/** The store's own error for one of the driver's; any other error as it is. Never holds the password. */
export function storeError(error: unknown, about: About, unsure: boolean): Error {
  const known = error instanceof Error ? error : new Error(String(error));
  if (unsure) {
    return new StoreInterruptedError(
      `the connection to ${about.where} broke while it wrote (${known.message}): whether that was done isn't known`,
    );
  }
  const code = codeOf(error);
  const meaning = MEANINGS[code ?? ''];
  if (meaning) return meaning(about, known.message);
  if (kindOf(error) === 'away')
    return new StoreBusyError(`${about.where} could not be reached (${known.message}): is the server running?`);
  if (kindOf(error) === 'undone') return new StoreBusyError(`${about.where} was busy for too long (${known.message})`);
  if (CERTIFICATE.test(code ?? '')) {
    return new StoreUnusableError(
      `the certificate of ${about.where} can't be trusted (${known.message}): name the authority that signed it with sslrootcert=<file> in the store's URL`,
    );
  }
  if (/does not support SSL/.test(known.message)) {
    return new StoreUnusableError(`${about.where} speaks no TLS: enable it there, or say sslmode=disable in the URL`);
  }
  return known;
}

/** Whether the error says what became of a call, so that asking again in another way would change nothing. */
export function isStoreError(error: unknown): boolean {
  const classes = [StoreFullError, StoreBusyError, StoreUnusableError, StoreInterruptedError, StoreClosedError];
  return classes.some((one) => error instanceof one);
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  // What Node says when it tried several addresses of a host.
  return error instanceof AggregateError ? codeOf(error.errors[0]) : undefined;
}
