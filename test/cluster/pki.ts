import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { capture } from './command.ts';

/** Who a certificate stands for, and the hosts (names or IPs) that it may serve as. */
export interface Identity {
  readonly name: string;
  readonly commonName: string;
  readonly organisation?: string;
  readonly hosts?: readonly string[];
}

/** A certificate and its private key, as paths of PEM files. */
export interface Credential {
  readonly certificate: string;
  readonly key: string;
}

/** A directory with one CA, the service account key pair, and one certificate for each identity that was asked for. */
export interface Pki {
  readonly directory: string;
  readonly authority: string;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  credential(name: string): Credential;
}

/** Issues the certificates below `directory`; if it exists, what it holds is used again. */
export async function ensurePki(
  kadreCluster: string,
  directory: string,
  identities: readonly Identity[],
): Promise<Pki> {
  if (!existsSync(directory)) {
    const requests = identities.map(({ name, commonName, organisation, hosts }) => {
      const group = organisation === undefined ? '' : `/${organisation}`;
      return `${name}=${commonName}${group}${hosts === undefined ? '' : `@${hosts.join(',')}`}`;
    });
    await capture(kadreCluster, ['certs', '-dir', directory, ...requests]);
  }
  const file = (name: string) => path.join(directory, name);
  return {
    directory,
    authority: file('ca.crt'),
    serviceAccountKey: file('sa.key'),
    serviceAccountPublicKey: file('sa.pub'),
    credential: (name) => ({ certificate: file(`${name}.crt`), key: file(`${name}.key`) }),
  };
}

/** The identities of the control plane. `hosts` are what clients call the API server. */
export function controlPlaneIdentities(hosts: readonly string[]): readonly Identity[] {
  const serviceNames = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ];
  return [
    { name: 'kube-apiserver', commonName: 'kube-apiserver', hosts: [...hosts, ...serviceNames] },
    { name: 'kubelet-client', commonName: 'kube-apiserver-kubelet-client', organisation: 'system:masters' },
    { name: 'admin', commonName: 'admin', organisation: 'system:masters' },
    { name: 'kube-controller-manager', commonName: 'system:kube-controller-manager' },
    { name: 'kube-scheduler', commonName: 'system:kube-scheduler' },
  ];
}

/** A kubeconfig that holds its certificates itself, so that it can be copied anywhere. */
export function kubeconfigFor(url: string, pki: Pki, identity: string, context = 'kadre'): string {
  const embed = (file: string) => readFileSync(file).toString('base64');
  const { certificate, key } = pki.credential(identity);
  return `apiVersion: v1
kind: Config
clusters:
  - name: ${context}
    cluster:
      server: ${url}
      certificate-authority-data: ${embed(pki.authority)}
users:
  - name: ${identity}
    user:
      client-certificate-data: ${embed(certificate)}
      client-key-data: ${embed(key)}
contexts:
  - name: ${context}
    context:
      cluster: ${context}
      user: ${identity}
current-context: ${context}
`;
}
