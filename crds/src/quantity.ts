const powers: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
};
const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Of a quantity as the API server lets it pass, such as 256Mi, 500m or 1e3. */
export function quantityValue(text: string): number {
  const [, digits = '0', unit = ''] = /^([0-9.]+(?:[eE][-+]?[0-9]+)?)([A-Za-z]*)$/.exec(text) ?? [];
  const power = binary.indexOf(unit);
  return Number(digits) * (power < 0 ? (powers[unit] ?? 1) : 1024 ** (power + 1));
}
