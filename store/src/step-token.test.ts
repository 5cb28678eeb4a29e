import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  delegatedClaims,
  delegatorsOf,
  mintStepToken,
  stepOfWorkflow,
  verifyStepToken,
  type StepClaims,
} from './step-token.ts';

const secret = new Uint8Array(32).fill(7);
const claims: StepClaims = { run: 'u1', step: 'research[2]', attempt: 1, namespace: 'team', agent: 'writer' };
const token = mintStepToken(secret, claims, 1000);
const [prefix, payload, mac] = token.split('.') as [string, string, string];
const body = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a step token', () => {
  test.each([
    ['a service', claims],
    ['a job', { ...claims, job: 'run-u1-research-2' }],
    ['what an agent hands to another', delegatedClaims(claims, 3, 'editor', true)],
    ['an engine', { ...claims, agent: '', engine: true as const }],
  ])('of %s gives back the claims that it was minted with', (_, minted) => {
    expect(verifyStepToken(secret, mintStepToken(secret, minted, 1000), 999)).toEqual({ ...minted, expiresAt: 1000 });
  });

  test('is compact enough for a header and safe in one', () => {
    expect(token).toMatch(/^[\w.-]{1,400}$/);
  });

  test.each<[string, Uint8Array, string, number]>([
    ['its time is over', secret, token, 1000],
    ['it was minted with another secret', new Uint8Array(32).fill(8), token, 0],
    ['its claims were changed', secret, [prefix, body({ ...claims, attempt: 2, exp: 1000 }), mac].join('.'), 0],
    ['its signature was cut', secret, token.slice(0, -1), 0],
    ['its signature is missing', secret, `${prefix}.${payload}.`, 0],
    ['its signature is spelled in another base64', secret, `${token}=`, 0],
    ['it names another scheme', secret, `none.${payload}.${mac}`, 0],
    ['it has a part too many', secret, `${token}.x`, 0],
    ['it is empty', secret, '', 0],
    ['it is far too long', secret, `${prefix}.${'A'.repeat(1_000_000)}.${mac}`, 0],
  ])('is refused when %s', (_, key, text, now) => {
    expect(verifyStepToken(key, text, now)).toBeUndefined();
  });

  test('no rubbish makes the check throw or pass', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (left, right) => {
        expect(verifyStepToken(secret, `${left}.${right}`, 0)).toBeUndefined();
        expect(verifyStepToken(secret, `k1.${left}.${right}`, 0)).toBeUndefined();
      }),
    );
  });
});

describe('what agents hand to each other', () => {
  const handed = delegatedClaims(delegatedClaims({ ...claims, job: 'j' }, 3, 'editor', false), 12, 'checker', false);

  test('is a part of the step under a name of its own, good for the agent that is asked and for no Job', () => {
    expect(handed).toEqual({
      ...{ run: 'u1', step: 'research[2]/3/12', attempt: 1, namespace: 'team', agent: 'checker' },
      delegators: ['writer', 'editor'],
    });
  });

  test('tells for whom it is done, and for which step of the Workflow', () => {
    expect(delegatorsOf(handed)).toEqual([
      { step: 'research[2]', agent: 'writer' },
      { step: 'research[2]/3', agent: 'editor' },
    ]);
    expect([handed, claims].map(stepOfWorkflow)).toEqual(['research[2]', 'research[2]']);
  });

  test('stays tainted once it is', () => {
    expect(delegatedClaims({ ...claims, tainted: true }, 1, 'editor', false)).toMatchObject({ tainted: true });
  });
});
