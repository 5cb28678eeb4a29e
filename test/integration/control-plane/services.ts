// Loaded before Kadre by tests: what the names of Services lead to on a machine without cluster DNS.
import net from 'node:net';

/** For node's --import. */
export const servicesModule = import.meta.filename;
/** Names of hosts, as JSON, and local ports. */
const { SERVICES } = process.env;

if (SERVICES !== undefined) {
  const ports = JSON.parse(SERVICES) as Record<string, number>;
  const { connect } = net;
  net.connect = ((options: net.TcpNetConnectOpts, ...rest: []) => {
    const port = ports[options.host ?? ''];
    return connect(port === undefined ? options : { ...options, host: '127.0.0.1', port }, ...rest);
  }) as typeof net.connect;
}
