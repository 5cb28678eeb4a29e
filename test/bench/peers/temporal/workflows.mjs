import { proxyActivities } from '@temporalio/workflow';

const { step } = proxyActivities({ startToCloseTimeout: '10 minutes' });
/** The server refuses more than 2,000 activities of one workflow at once. */
const AT_ONCE = 1000;

export async function chain(count) {
  for (let i = 0; i < count; i++) await step(i);
}

export async function fanOut(count) {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) await step(i);
  };
  await Promise.all(Array.from({ length: Math.min(count, AT_ONCE) }, worker));
}
