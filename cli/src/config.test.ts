import { describe, expect, test } from '@jest/globals';
import { ConfigError, readConfig } from './config.ts';

const complete = {
  KADRE_RUNTIME_IMAGE: 'kadre-agent-runtime:0.1.0',
  KADRE_GATEWAY_URL: 'http://kadre-gateway.kadre-system.svc/',
  POD_NAMESPACE: 'kadre-system',
  POD_NAME: 'kadre-0',
};

describe('the environment', () => {
  test('gives a whole configuration from the four variables that have no default', () => {
    expect(readConfig(complete)).toMatchObject({
      storePath: '/var/lib/kadre/kadre.db',
      gatewayUrl: 'http://kadre-gateway.kadre-system.svc',
      gatewayPort: 8081,
      healthPort: 8080,
      logLevel: 'info',
    });
  });

  test.each([
    ['a missing image', { KADRE_RUNTIME_IMAGE: undefined }, /KADRE_RUNTIME_IMAGE must name/],
    ['a gateway address that is no URL', { KADRE_GATEWAY_URL: 'gateway' }, /KADRE_GATEWAY_URL must be the URL/],
    ['a port that is a word', { KADRE_GATEWAY_PORT: 'http' }, /KADRE_GATEWAY_PORT must be a port/],
    ['a port that is too large', { KADRE_HEALTH_PORT: '70000' }, /KADRE_HEALTH_PORT/],
    ['an unknown log level', { KADRE_LOG_LEVEL: 'loud' }, /KADRE_LOG_LEVEL/],
  ])('with %s is refused by the name of the variable', (_what, change, message) => {
    expect(() => readConfig({ ...complete, ...change })).toThrow(message);
    expect(() => readConfig({ ...complete, ...change })).toThrow(ConfigError);
  });

  test('with several faults names them all at once', () => {
    expect(() => readConfig({})).toThrow(/KADRE_RUNTIME_IMAGE[^]*KADRE_GATEWAY_URL[^]*POD_NAMESPACE[^]*POD_NAME/);
  });
});
