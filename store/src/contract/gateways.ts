// Gateways share the limits of Models, so each must know how many there are.
import { expect, test } from '@jest/globals';
import type { StoreUnderTest } from './fixtures.ts';

const TTL = 600_000;

export function describeGateways(it: () => StoreUnderTest): void {
  test('a gateway alone has the only seat, however often it says that it is alive', async () => {
    for (let beat = 0; beat < 3; beat++) {
      expect(await it().store.seatGateway('a', TTL)).toEqual({ rank: 0, of: 1 });
    }
    await it().store.unseatGateway('a');
    await it().store.unseatGateway('a');
    expect(await it().store.seatGateway('b', TTL)).toEqual({ rank: 0, of: 1 });
  });
}
