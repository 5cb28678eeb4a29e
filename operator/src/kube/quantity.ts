// Kubernetes quantities, compared by value: 100m is 0.1, 1Gi is 1073741824, 1e3 is 1k.
// https://github.com/kubernetes/apimachinery/blob/master/pkg/api/resource/quantity.go

const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:(n|u|m|k|Ki|Mi|Gi|Ti|Pi|Ei|M|G|T|P|E)|[eE]([+-]?\d{1,3}))?$/;

const decimalExponents: Record<string, number> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const binaryExponents: Record<string, bigint> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/** The value in billionths, the smallest unit Kubernetes keeps, rounded up as the API server does. Undefined when it is no quantity. */
function nanos(quantity: string): bigint | undefined {
  const match = pattern.exec(quantity);
  if (!match) return undefined;
  const [, sign, whole = '', fraction = '', suffix, exponent] = match;
  if (whole === '' && fraction === '') return undefined;
  const shift =
    9 + (exponent === undefined ? (decimalExponents[suffix ?? ''] ?? 0) : Number(exponent)) - fraction.length;
  const digits = BigInt(whole + fraction) << (binaryExponents[suffix ?? ''] ?? 0n);
  const size = shift >= 0 ? digits * 10n ** BigInt(shift) : divideUp(digits, 10n ** BigInt(-shift));
  return sign === '-' ? -size : size;
}

const divideUp = (a: bigint, b: bigint) => (a + b - 1n) / b;

/** Whether both are quantities of the same value. Numbers count as their decimal text. */
export function sameQuantity(a: unknown, b: unknown): boolean {
  if (!isText(a) || !isText(b)) return false;
  const left = nanos(String(a));
  return left !== undefined && left === nanos(String(b));
}

const isText = (value: unknown): value is string | number => typeof value === 'string' || typeof value === 'number';
