import { Resolver } from 'node:dns/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Api } from '../api.ts';
import { succeeds } from '../command.ts';
import { tailOf } from '../log.ts';
import { type Report, elapsed } from '../report.ts';
import { clusterDomain } from './configuration.ts';
import { runningDaemons } from './daemons.ts';
import type { NodeSettings } from './settings.ts';

const patienceMs = 180_000;
const heartbeatMs = 10_000;

export async function waitForContainerd(settings: NodeSettings, report: Report): Promise<void> {
  const answers = (): Promise<boolean> => succeeds('ctr', ['-a', settings.containerdSocket, 'version']);
  await waitFor(settings, 'containerd to answer', ['containerd'], answers, report);
}

export async function waitForApi(settings: NodeSettings, api: Api, report: Report): Promise<void> {
  const ready = async (): Promise<boolean> => (await api.call('GET', '/readyz')).status === 200;
  await waitFor(settings, 'the API server to be ready', ['kube-apiserver', 'etcd'], ready, report);
}

interface Node {
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly allocatable?: Readonly<Record<string, string>>;
  };
}

export async function waitForNode(settings: NodeSettings, api: Api, gpus: number, report: Report): Promise<void> {
  const ready = async (): Promise<boolean> => {
    const { status } = await api.get<Node>(`/api/v1/nodes/${settings.nodeName}`);
    const isReady = status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True');
    return isReady === true && Number(status.allocatable?.['nvidia.com/gpu'] ?? 0) === gpus;
  };
  await waitFor(settings, 'the node to be ready', ['kubelet'], ready, report);
}

/** Waits until the API server answers at its Service's VIP, which takes kube-proxy and its rules. */
export async function waitForServices(settings: NodeSettings, report: Report): Promise<void> {
  const reachable = (): Promise<boolean> => canConnect(settings.apiServiceAddress, 443);
  await waitFor(settings, 'Services to be reachable', ['kube-proxy'], reachable, report);
}

export async function waitForNames(settings: NodeSettings, report: Report): Promise<void> {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([settings.nodeAddress]);
  const resolves = async (): Promise<boolean> => {
    const addresses = await resolver.resolve4(`kubernetes.default.svc.${clusterDomain}`);
    return addresses.includes(settings.apiServiceAddress);
  };
  await waitFor(settings, 'names to resolve', ['coredns'], resolves, report);
}

/** Asks until it is so. Gives up when one of the daemons that it takes has ended, or after three minutes. */
async function waitFor(
  settings: NodeSettings,
  what: string,
  daemons: readonly string[],
  isSo: () => Promise<boolean>,
  report: Report,
): Promise<void> {
  const started = Date.now();
  let nextBeat = started + heartbeatMs;
  while (!(await isSo().catch(() => false))) {
    const running = runningDaemons(settings);
    const ended = daemons.find((name) => !running.has(name));
    if (ended !== undefined || Date.now() - started > patienceMs)
      throw new Error(failure(settings, what, ended ?? daemons[0]));
    if (Date.now() > nextBeat) {
      report(`${elapsed(started)} waiting for ${what}`);
      nextBeat += heartbeatMs;
    }
    await delay(100);
  }
}

function failure(settings: NodeSettings, what: string, daemon = ''): string {
  const logFile = settings.logFile(daemon);
  return `waited in vain for ${what}; the end of ${logFile}:\n${tailOf(logFile)}`;
}

async function canConnect(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const answer = (connected: boolean) => () => {
      socket.destroy();
      resolve(connected);
    };
    socket.once('connect', answer(true)).once('error', answer(false)).once('timeout', answer(false));
  });
}
