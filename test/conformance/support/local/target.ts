// A case in this process: a real store, real engines, real agents behind a real gateway; no cluster and no pods.
import type { Run } from '@kadre/crds';
import type { Store } from '@kadre/store';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision, JobEnd } from '../act.ts';
import type { Case, Named } from '../case.ts';
import type { Target } from '../target.ts';
import { hostAgents } from './agents.ts';
import { fastClock } from './clock.ts';
import { runEngines, type Deaths } from './engines.ts';
import { submissionOf } from './submission.ts';

const FACTOR = 20;
const NAMESPACE = 'conformance';

/** @param open gives an empty store, which is closed at the end */
export async function startLocal(one: Case, open: () => Promise<Store>, deaths: Deaths): Promise<Target> {
  const store = await open();
  const clock = fastClock(FACTOR);
  const agents = await hostAgents(one, store, clock);
  const engines = runEngines(
    { store, agents: agents.directory, gateway: agents.gateway, clock, factor: FACTOR },
    deaths,
  );
  return {
    apply: async (run: Named<Run>) => {
      await store.submitRun(await submissionOf(one, run, store));
    },
    status: async (run) => (await store.projection(run))?.status,
    failure: async (run) => (await store.projection(run))?.failure,
    log: (run) => store.events(run),
    asked: (run) => agents.asked(run),
    cancel: (run) => store.cancelRun(run, 'somebody cancelled it'),
    suspend: (run, suspended) => store.suspendRun(run, suspended),
    decide: (decision, approved) => decide(store, decision, approved, clock.now()),
    publish: async (event) => {
      await store.publishEvent({ ...event, namespace: NAMESPACE, at: clock.now() });
    },
    endJob: (end) => endJob(store, end),
    pass: (milliseconds) => sleep(milliseconds / FACTOR),
    deaths: () => engines.deaths(),
    close: async () => {
      await engines.stop();
      await agents.close();
      await store.close();
    },
  };
}

async function decide(
  store: Store,
  { run, step, by, answer }: Decision,
  approved: boolean,
  at: number,
): Promise<boolean> {
  const asked = (await store.approvalsOfRun(run)).find(
    (approval) => approval.step === step && approval.state === 'open',
  );
  return (
    asked !== undefined &&
    store.decideApproval(asked.key, { approved, by, at, ...(answer !== undefined && { answer }) })
  );
}

/** Plays the operator: the Job is created, and ends as the script says. */
async function endJob(store: Store, { run, step, output, failure }: JobEnd): Promise<boolean> {
  const job = (await store.jobsOfRun(run)).find((one) => one.step === step && one.state !== 'finished');
  if (!job) return false;
  await store.jobCreated(job.key, 'uid-of-job');
  const outcome = failure === undefined ? { output } : { failure: { reason: failure, message: 'the script says so' } };
  return store.finishJob(job.key, outcome);
}
