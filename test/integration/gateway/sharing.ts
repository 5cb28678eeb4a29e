// What the gateways of limits-shared.test.ts agree on.
export const HEARTBEAT_MS = 1_000;
export const SHARED_LIMITS = { concurrent: 4 };
