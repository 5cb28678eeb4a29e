/**
 * `metav1.MicroTime`: RFC 3339 with exactly six digits after the point. The API server refuses anything else, so
 * `toISOString` (three digits) will not do. https://github.com/kubernetes/kubernetes/issues/141204
 *
 * @param ms milliseconds since the epoch
 */
export function microTime(ms: number): string {
  const whole = Math.floor(ms);
  const micros = Math.floor((ms - whole) * 1000);
  return new Date(whole).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`);
}
