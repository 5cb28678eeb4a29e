// A control plane with Kadre's rights and admission policies, an operator that has no rights but its own, and people.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ApprovalRequest, Store } from '@kadre/store';
import { parse, stringify } from 'yaml';
import { capture } from '../../support/kubectl.ts';
import { eventually, field, KADRE, startBed, type Bed, type Seen } from './bed.ts';
import { runTools } from './run-tools.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const SYSTEM = 'kadre-system';
/** How Kadre's operator calls itself. */
export const KADRE_ACCOUNT = [
  '--as',
  `system:serviceaccount:${SYSTEM}:kadre`,
  '--as-group',
  `system:serviceaccounts:${SYSTEM}`,
];

export type ApprovalsBed = Awaited<ReturnType<typeof startApprovalsBed>>;

export async function startApprovalsBed() {
  const bed = await startBed();
  const { binaries, adminKubeconfigPath } = bed.controlPlane;
  const kubectl = (args: string[], input?: string): Promise<string> =>
    capture(binaries.kadreCluster, ['kubectl', '--kubeconfig', adminKubeconfigPath, ...args], input);
  await kubectl(['create', 'namespace', SYSTEM]);
  for (const folder of ['rbac', 'policy']) {
    await kubectl(['apply', '--server-side', '-k', join(root, 'config', folder)]);
  }
  const kubeconfig = await operatorKubeconfig(bed, kubectl);
  await eventually('the policies at work', async () => {
    const mine = { apiVersion: KADRE, kind: 'Approval', metadata: { name: 'probe' }, spec: question };
    const foreign = { ...run('probe'), spec: { ...run('probe').spec, requestedBy: 'nobody' } };
    const refused = await Promise.all([mine, foreign].map((object) => isDenied(kubectl, object)));
    return refused.every(Boolean);
  });
  return {
    ...bed,
    kubectl,
    startOperator: (wrap?: (store: Store) => Store) => bed.startOperator(wrap, kubeconfig),
  };
}

export const question = { run: 'first', step: 'sign-off', attempt: 1, message: 'Publish?' };
export const run = (name: string) => ({
  apiVersion: KADRE,
  kind: 'Run',
  metadata: { name },
  spec: { workflow: { name: 'article' } },
});

async function isDenied(kubectl: ApprovalsBed['kubectl'], object: object): Promise<boolean> {
  return kubectl(['-n', 'default', 'create', '--dry-run=server', '-f', '-'], JSON.stringify(object)).then(
    () => false,
    (error: unknown) => String(error).includes('ValidatingAdmissionPolicy'),
  );
}

/** Signs in with a token of the ServiceAccount, as the pod does. */
async function operatorKubeconfig(bed: Bed, kubectl: ApprovalsBed['kubectl']): Promise<string> {
  const token = (await kubectl(['-n', SYSTEM, 'create', 'token', 'kadre', '--duration=4h'])).trim();
  const config = parse(bed.controlPlane.kubeconfig) as { users: { user: object }[] };
  const path = join(dirname(bed.controlPlane.adminKubeconfigPath), 'operator.kubeconfig');
  writeFileSync(path, stringify({ ...config, users: config.users.map((user) => ({ ...user, user: { token } })) }), {
    mode: 0o600,
  });
  return path;
}

/** What a step asks, and what people say to it, in the namespace of a test. */
export function approvalTools(where: () => { bed: ApprovalsBed; namespace: string }) {
  const runs = runTools(where);
  const NAME = 'first-sign-off';
  const request = (uid: string, more: Partial<ApprovalRequest> = {}): ApprovalRequest => ({
    key: `${uid}/sign-off/1`,
    run: { uid, namespace: where().namespace, name: 'first' },
    step: 'sign-off',
    attempt: 1,
    name: NAME,
    message: 'Publish?',
    policy: {},
    ...more,
  });
  const live = (): Promise<Seen | undefined> =>
    where().bed.get({ apiVersion: KADRE, kind: 'Approval', namespace: where().namespace, name: NAME });
  const kubectl = (args: string[], input?: string) => where().bed.kubectl(['-n', where().namespace, ...args], input);
  return {
    ...runs,
    NAME,
    request,
    live,
    kubectl,
    /** A run whose step asks. Resolves to the key in the store. */
    ask: async (more: Partial<ApprovalRequest> = {}): Promise<string> => {
      const uid = await runs.startRun();
      const approval = request(uid, more);
      await runs.say(uid, { phase: 'Waiting' }, { approvals: [approval] });
      return approval.key;
    },
    asked: (uid?: string): Promise<Seen> =>
      eventually('people asked', async () => {
        const object = await live();
        return object && object.metadata.uid !== uid ? object : undefined;
      }),
    /** As somebody of these groups. Rejects with what kubectl complains about. */
    decide: (user: string, groups: string[], spec: object): Promise<string> => {
      const as = ['--as', user, ...groups.flatMap((group) => ['--as-group', group])];
      return kubectl(['patch', 'approval', NAME, '--type=merge', '-p', JSON.stringify({ spec }), ...as]);
    },
    taken: (key: string) =>
      eventually(`a decision on ${key}`, async () => (await where().bed.store.approval(key))?.decision),
    became: (phase: string): Promise<Seen> =>
      eventually(`the Approval ${phase}`, async () => {
        const object = await live();
        if (field(object, 'status.phase') === phase) return object;
        throw new Error(JSON.stringify(object?.['status']));
      }),
  };
}
