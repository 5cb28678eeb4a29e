interface Listener {
  listen(address: { host: string; port: number }): Promise<string>;
}

/** On both families of addresses where there are both; a kernel without IPv6 knows no `::`. Resolves with the address. */
export function listenEverywhere(listener: Listener, port: number): Promise<string> {
  return listener.listen({ host: '::', port }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error;
    return listener.listen({ host: '0.0.0.0', port });
  });
}
