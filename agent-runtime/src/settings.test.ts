import { describe, expect, test } from '@jest/globals';
import { readSettings } from './settings.ts';
import { testAgent } from './testing/harness.ts';

const enough = {
  KADRE_AGENT: JSON.stringify(testAgent()),
  KADRE_GATEWAY_URL: 'http://gateway/',
  KADRE_TOKEN_FILE: '/t',
};
const withEndpoints = (...paths: string[]) => ({
  ...enough,
  KADRE_AGENT: JSON.stringify({ ...testAgent(), endpoints: paths.map((path) => ({ path, prompt: 'x' })) }),
});

describe('the environment', () => {
  test('needs three variables and has defaults for the rest', () => {
    expect(readSettings(enough)).toEqual({
      agent: testAgent(),
      gatewayUrl: 'http://gateway',
      tokenFile: '/t',
      podIp: undefined,
      basePath: '',
      publicUrl: undefined,
      logLevel: 'info',
      stepToken: undefined,
      port: 8080,
      shutdownMs: 25_000,
      maxConcurrent: 256,
    });
  });

  test('an empty variable counts as absent', () => {
    expect(readSettings({ ...enough, KADRE_BASE_PATH: '', KADRE_POD_IP: '', KADRE_LOG_LEVEL: '' })).toMatchObject({
      basePath: '',
      podIp: undefined,
      logLevel: 'info',
    });
  });

  test('a slash at the end of a path or URL makes no difference', () => {
    expect(
      readSettings({ ...enough, KADRE_BASE_PATH: '/agents/', KADRE_PUBLIC_URL: 'https://a.example/agents/' }),
    ).toMatchObject({ basePath: '/agents', publicUrl: 'https://a.example/agents' });
  });

  test.each([
    ['no gateway', { ...enough, KADRE_GATEWAY_URL: undefined }, /^KADRE_GATEWAY_URL is not set: set it to the address/],
    ['a gateway without a protocol', { ...enough, KADRE_GATEWAY_URL: 'gateway:80' }, /^KADRE_GATEWAY_URL is wrong/],
    [
      'an agent without instructions',
      { ...enough, KADRE_AGENT: '{"name":"a","namespace":"n","model":"m"}' },
      /^KADRE_AGENT is wrong \(instructions: /,
    ],
    [
      'a pod IP that is none',
      { ...enough, KADRE_POD_IP: 'localhost' },
      /^KADRE_POD_IP is wrong \(is not an IP address\)/,
    ],
    ['a base path that is relative', { ...enough, KADRE_BASE_PATH: 'agents' }, /^KADRE_BASE_PATH is wrong/],
    [
      'an unknown log level',
      { ...enough, KADRE_LOG_LEVEL: 'loud' },
      /^KADRE_LOG_LEVEL is wrong .*: set it to debug, info, warn or error/,
    ],
    ['a port that is none', { ...enough, KADRE_PORT: '70000' }, /^KADRE_PORT is wrong/],
    ['an endpoint of the runtime itself', withEndpoints('/v1/chat'), /\/v1\/chat is taken by the runtime itself/],
    ['an endpoint that is there twice', withEndpoints('/a', '/a'), /\/a is there twice/],
    ['an endpoint with a pattern', withEndpoints('/a/:b'), /\/a\/:b is not a path/],
  ])('%s is refused in one line', (_name, env, line) => {
    expect(() => readSettings(env)).toThrow(line);
  });
});
