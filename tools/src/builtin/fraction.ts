// Numbers without rounding: fractions of whole numbers of any length, up to a bound.

/** `exact` is false once something was rounded, such as a root. The denominator is positive, and the fraction reduced. */
export interface Fraction {
  n: bigint;
  d: bigint;
  exact: boolean;
}

export class NumberError extends Error {
  override name = 'NumberError';
}

/** So that no expression, however short, keeps a processor busy. */
const MAX_BITS = 8192n;
const LIMIT = 1n << MAX_BITS;
const MAX_EXPONENT = 4096n;
const SIGNIFICANT = 34;
const MAX_DECIMALS = 60;

export function fraction(n: bigint, d = 1n, exact = true): Fraction {
  if (d === 0n) throw new NumberError('this divides by zero');
  const divisor = gcd(abs(n), abs(d)) * (d < 0n ? -1n : 1n);
  const reduced = { n: n / divisor, d: d / divisor, exact };
  if (abs(reduced.n) > LIMIT || reduced.d > LIMIT) throw new NumberError('this number has too many digits');
  return reduced;
}

/** Of digits as people write them: 12, 1.5, .5, 2e-3. */
export function parseFraction(text: string): Fraction {
  const [, whole = '', decimals = '', exponent = '0'] = /^(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const power = BigInt(exponent) - BigInt(decimals.length);
  if (abs(power) > MAX_EXPONENT) throw new NumberError('this number has too many digits');
  const digits = BigInt(whole + decimals);
  return power < 0n ? fraction(digits, 10n ** -power) : fraction(digits * 10n ** power);
}

const both = (a: Fraction, b: Fraction) => a.exact && b.exact;
export const add = (a: Fraction, b: Fraction) => fraction(a.n * b.d + b.n * a.d, a.d * b.d, both(a, b));
export const negate = (a: Fraction): Fraction => ({ ...a, n: -a.n });
export const subtract = (a: Fraction, b: Fraction) => add(a, negate(b));
export const multiply = (a: Fraction, b: Fraction) => fraction(a.n * b.n, a.d * b.d, both(a, b));
export const divide = (a: Fraction, b: Fraction) => fraction(a.n * b.d, a.d * b.n, both(a, b));
/** What division with truncation leaves; it has the sign of `a`. */
export const remainder = (a: Fraction, b: Fraction) => {
  const quotient = divide(a, b);
  return subtract(a, multiply(fraction(quotient.n / quotient.d), b));
};
export const compare = (a: Fraction, b: Fraction): number =>
  Number(a.n * b.d > b.n * a.d) - Number(a.n * b.d < b.n * a.d);

export function power(base: Fraction, exponent: Fraction): Fraction {
  if (exponent.d !== 1n) throw new NumberError('an exponent is a whole number here; for a root there is sqrt');
  const size = abs(exponent.n);
  const bits = BigInt(bitLength(abs(base.n)) + bitLength(base.d));
  // A power of 1, 0 or -1 is as long as its base.
  if (abs(base.n) > 1n || base.d > 1n) {
    if (size > MAX_EXPONENT || bits * size > 4n * MAX_BITS) throw new NumberError('this number has too many digits');
  }
  const effective = abs(base.n) <= 1n && base.d === 1n && size > 1n ? 2n - (size % 2n) : size;
  const exact = both(base, exponent);
  const [n, d] = [base.n ** effective, base.d ** effective];
  return exponent.n < 0n ? fraction(d, n, exact) : fraction(n, d, exact);
}

export const floor = ({ n, d, exact }: Fraction): Fraction => fraction((n - mod(n, d)) / d, 1n, exact);

/** Halves are rounded away from zero. */
export function round(value: Fraction, decimals: Fraction): Fraction {
  if (decimals.d !== 1n || abs(decimals.n) > 100n) throw new NumberError('decimals are a whole number up to 100');
  const scale = power(fraction(10n), decimals);
  const { n, d } = multiply(value, scale);
  return divide(fraction(nearest(n, d), 1n, value.exact), scale);
}

export function squareRoot({ n, d, exact }: Fraction): Fraction {
  if (n < 0n) throw new NumberError('there is no square root of a negative number');
  const [top, bottom] = [wholeRoot(n), wholeRoot(d)];
  if (top * top === n && bottom * bottom === d) return fraction(top, bottom, exact);
  const zeros = BigInt(Math.max(0, SIGNIFICANT + 6 + Math.ceil((bitLength(d) - bitLength(n)) * 0.151)));
  const scale = 10n ** zeros;
  return fraction(wholeRoot((n * scale * scale) / d), scale, false);
}

/** All decimals if they end soon; else 34 significant digits behind a sign that says so. */
export function format(value: Fraction): string {
  const { n, d, exact } = value;
  const decimals = d === 1n ? 0 : decimalsOf(d);
  if (exact && decimals !== undefined) return fixed((n * 10n ** BigInt(decimals)) / d, decimals);
  const places = Math.max(0, SIGNIFICANT - 1 - magnitudeOf(abs(n), d));
  const text = fixed(nearest(n * 10n ** BigInt(places), d), places);
  return `≈ ${text.includes('.') ? text.replace(/\.?0+$/, '') : text}`;
}

/** The place of the first digit that is not 0: 2 of 123, -3 of 0.00123. */
function magnitudeOf(n: bigint, d: bigint): number {
  if (n === 0n) return 0;
  return n >= d ? (n / d).toString().length - 1 : -((d - 1n) / n).toString().length;
}

/** The whole number next to n/d; halves are rounded away from zero. */
function nearest(n: bigint, d: bigint): bigint {
  const rounded = (2n * abs(n) + d) / (2n * d);
  return n < 0n ? -rounded : rounded;
}

/** How many decimals 1/d has, if they end. */
function decimalsOf(d: bigint): number | undefined {
  let [rest, twos, fives] = [d, 0, 0];
  for (; rest % 2n === 0n && twos <= MAX_DECIMALS; twos++) rest /= 2n;
  for (; rest % 5n === 0n && fives <= MAX_DECIMALS; fives++) rest /= 5n;
  const decimals = Math.max(twos, fives);
  return rest === 1n && decimals <= MAX_DECIMALS ? decimals : undefined;
}

function fixed(digits: bigint, decimals: number): string {
  const sign = digits < 0n ? '-' : '';
  const text = abs(digits)
    .toString()
    .padStart(decimals + 1, '0');
  return decimals === 0 ? sign + text : `${sign}${text.slice(0, -decimals)}.${text.slice(-decimals)}`;
}

const abs = (n: bigint): bigint => (n < 0n ? -n : n);
const mod = (n: bigint, d: bigint): bigint => ((n % d) + d) % d;
const bitLength = (n: bigint): number => n.toString(16).length * 4;

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

function wholeRoot(n: bigint): bigint {
  if (n < 2n) return n;
  let guess = 1n << BigInt(Math.ceil((bitLength(n) + 1) / 2));
  for (;;) {
    const next = (guess + n / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}
