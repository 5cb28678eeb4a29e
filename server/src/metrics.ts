// What Prometheus sees of the server.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Returns what is to be called with each request that is over. */
export function createMetrics(
  registry: Registry,
  inFlight: () => number,
): (code: string, milliseconds: number) => void {
  const registers = [registry];
  const requests = new Counter({
    name: 'kadre_server_requests_total',
    help: 'Requests answered, by outcome or, for refusals, by reason.',
    labelNames: ['code'],
    registers,
  });
  const duration = new Histogram({
    name: 'kadre_server_request_duration_seconds',
    help: 'Time from a request to its answer.',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
    registers,
  });
  new Gauge({
    name: 'kadre_server_requests_in_flight',
    help: 'Requests that are being answered.',
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  return (code, milliseconds) => {
    requests.inc({ code });
    duration.observe(milliseconds / 1000);
  };
}
