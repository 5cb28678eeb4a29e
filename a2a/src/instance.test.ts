import { describe, expect, test } from '@jest/globals';
import { replicaUrl } from './instance.ts';

const service = 'http://writer.team.svc';

describe('a replica’s address', () => {
  test.each([
    ['of a pod is called', 'http://10.1.2.3:8080', 'http://10.1.2.3:8080'],
    ['of a pod may end with a slash', 'http://10.1.2.3:8080/', 'http://10.1.2.3:8080'],
    ['of a pod may be IPv6', 'http://[fd00::1]:8080', 'http://[fd00::1]:8080'],
    ['with a name could be anybody’s', 'http://kubernetes.default.svc', undefined],
    ['with a path is none', 'http://10.1.2.3/admin', undefined],
    ['with credentials is none', 'http://user@10.1.2.3', undefined],
    ['with another scheme is none', 'file:///etc/passwd', undefined],
    ['of the cloud’s metadata service is refused', 'http://169.254.169.254', undefined],
    ['of the metadata service spelled as a number is refused', 'http://2852039166', undefined],
    ['of the metadata service in IPv6 is refused', 'http://[::ffff:169.254.169.254]', undefined],
    ['of the engine’s own machine is refused', 'http://127.0.0.1:6443', undefined],
    ['of the engine’s own machine in IPv6 is refused', 'http://[::1]:6443', undefined],
    ['of nobody is refused', 'http://0.0.0.0', undefined],
    ['for many is refused', 'http://224.0.0.1', undefined],
    ['that is rubbish is refused', 'rubbish', undefined],
  ])('%s', (_, instance, expected) => {
    expect(replicaUrl(instance, service)).toBe(expected);
  });

  test.each(['http://127.0.0.1:3000', 'http://localhost:3000', 'http://[::1]:3000'])(
    'may be this machine if the agent is served at %s',
    (own) => {
      expect(replicaUrl('http://127.0.0.1:3001', own)).toBe('http://127.0.0.1:3001');
    },
  );
});
