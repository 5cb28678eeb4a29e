// Loaded before Kadre by tests: what the names of Services lead to on a machine without cluster DNS. SERVICES maps them to
// local ports.
import net from 'node:net';

const ports = JSON.parse(process.env['SERVICES'] ?? '{}') as Record<string, number>;
const { connect } = net;

net.connect = ((options: net.TcpNetConnectOpts, ...rest: []) => {
  const port = ports[options.host ?? ''];
  return connect(port === undefined ? options : { ...options, host: '127.0.0.1', port }, ...rest);
}) as typeof net.connect;
