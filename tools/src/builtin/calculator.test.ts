import { expect, test } from '@jest/globals';
import { calculate } from './calculator.ts';

test.each([
  ['1+1', '2'],
  ['0.1 + 0.2', '0.3'],
  ['0.1 * 3', '0.3'],
  ['1/3', '≈ 0.3333333333333333333333333333333333'],
  ['2/3', '≈ 0.6666666666666666666666666666666667'],
  ['1/3*3', '1'],
  ['1e3 + 2.5e-2', '1000.025'],
  ['.5 + 5.', '5.5'],
  ['2 + 3 * 4', '14'],
  ['(2 + 3) * 4', '20'],
  ['10 - 4 - 3', '3'],
  ['100 / 10 / 2', '5'],
  ['-2 ^ 2', '-4'],
  ['(-2) ^ 2', '4'],
  ['2 ^ 3 ^ 2', '512'],
  ['2 ^ -2', '0.25'],
  ['2 ** 10', '1024'],
  ['--5', '5'],
  ['7 % 3', '1'],
  ['-7 % 3', '-1'],
  ['7.5 % 2', '1.5'],
  ['3 − 1 × 2 ÷ 4', '2.5'],
  ['2^128', '340282366920938463463374607431768211456'],
  ['123456789012345678901234567890 * 2', '246913578024691357802469135780'],
  ['1 ^ 999999999999', '1'],
  ['(-1) ^ 999999999999', '-1'],
  ['0 ^ 5', '0'],
  ['0 ^ 0', '1'],
  ['abs(-3.5)', '3.5'],
  ['ceil(-1.5)', '-1'],
  ['floor(-1.5)', '-2'],
  ['round(2.5)', '3'],
  ['round(-2.5)', '-3'],
  ['round(10 / 3, 2)', '3.33'],
  ['round(1250, -2)', '1300'],
  ['max(1, 3, 2)', '3'],
  ['min(1, -3, 2)', '-3'],
  ['sqrt(16)', '4'],
  ['sqrt(0.25)', '0.5'],
  ['sqrt(2)', '≈ 1.414213562373095048801688724209698'],
  ['sqrt(2e-40)', '≈ 0.00000000000000000001414213562373095048801688724209698'],
  ['round(pi, 4)', '≈ 3.1416'],
  ['PI', '≈ 3.141592653589793238462643383279503'],
])('%s is %s', (expression, result) => {
  expect(calculate(expression)).toBe(result);
});

test.each([
  ['', 'At the end: a number is expected.'],
  ['1 +', 'At the end: a number is expected.'],
  ['1 2', 'At character 3: an operator is expected, not 2.'],
  ['(1', 'At the end: ) is expected.'],
  ['1)', 'At character 2: an operator is expected, not ).'],
  ['1 / 0', 'At character 3: this divides by zero.'],
  ['5 % 0', 'At character 3: this divides by zero.'],
  ['0 ^ -1', 'At character 3: this divides by zero.'],
  ['2 ^ 0.5', 'At character 3: an exponent is a whole number here; for a root there is sqrt.'],
  ['sqrt(-1)', 'At character 1: there is no square root of a negative number.'],
  ['1 $ 2', 'At character 3: "$" means nothing here.'],
  ['  "a"', 'At character 3: "\\"" means nothing here.'],
  ['sqrt 4', 'At character 6: ( is expected, not 4.'],
  ['round(1, 2, 3)', 'At character 1: round takes 1 to 2.'],
  ['round(1, 0.5)', 'At character 1: decimals are a whole number up to 100.'],
  ['9 ^ 9 ^ 9', 'At character 3: this number has too many digits.'],
  ['2 ^ 100000', 'At character 3: this number has too many digits.'],
  ['1e99999', 'At character 1: this number has too many digits.'],
  ['1e999999', 'At character 1: this number has too many digits.'],
  ['constructor(1)', /At character 1: constructor is not known/],
  ['process.exit()', /At character 1: process is not known|means nothing/],
  ['__proto__', /is not known/],
  ['('.repeat(500), /nested more than 100 deep/],
  ['-'.repeat(1999) + '1', /nested more than 100 deep/],
])('%j is turned down, saying where', (expression, message) => {
  expect(() => calculate(expression)).toThrow(message);
});

test('no expression of the length that is taken keeps a processor busy', () => {
  const long = [
    '9^2000*'.repeat(280) + '1',
    '1/7+'.repeat(499) + '1',
    'sqrt(2)*'.repeat(240) + '1',
    '1' + '/3'.repeat(999),
  ];
  for (const expression of long) expect(typeof outcome(expression)).toBe('string');
});

function outcome(expression: string): string {
  try {
    return calculate(expression);
  } catch (error) {
    return (error as Error).message;
  }
}
