// How times and money are written.

/** 0.4s, 12s, 3m05s, 2h04m, 3d2h. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const [s, m, h] = [Math.round(seconds), Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (s < 60) return `${s}s`;
  if (m < 60) return `${m}m${pad(Math.floor(seconds % 60))}s`;
  return h < 48 ? `${h}h${pad(m % 60)}m` : `${Math.floor(h / 24)}d${h % 24}h`;
}

/** USD; nothing for nothing. */
export function money(nanoUsd: number): string {
  if (nanoUsd === 0) return '';
  const usd = nanoUsd / 1e9;
  return usd < 0.0001 ? '<$0.0001' : `$${usd < 1 ? usd.toFixed(4) : usd.toFixed(2)}`;
}

/** Of today only the time, else the day as well; in the time zone of whoever reads it. */
export function time(at: number, now: number): string {
  const [day, clock] = [new Date(at), new Date(at).toTimeString().slice(0, 8)];
  return day.toDateString() === new Date(now).toDateString() ? clock : `${dateOf(day)} ${clock}`;
}

function dateOf(day: Date): string {
  return `${day.getFullYear()}-${pad(day.getMonth() + 1)}-${pad(day.getDate())}`;
}

function pad(number: number): string {
  return String(number).padStart(2, '0');
}
