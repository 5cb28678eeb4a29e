// Pieces of network policies.

export const fromNamespace = (name: string) => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });

/** The address of NodeLocal DNSCache, which is no pod. Resolvers outside the cluster stay out of reach. */
const NODE_LOCAL_DNS = '169.254.20.10/32';

/** 5353 is where OpenShift's DNS pods listen behind port 53 of their Service. */
export const dnsEgress = {
  ports: [
    { port: 53, protocol: 'UDP' },
    { port: 53, protocol: 'TCP' },
    { port: 5353, protocol: 'UDP' },
    { port: 5353, protocol: 'TCP' },
  ],
  to: [{ namespaceSelector: {} }, { ipBlock: { cidr: NODE_LOCAL_DNS } }],
};
