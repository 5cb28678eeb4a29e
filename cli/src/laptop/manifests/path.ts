// Paths of fields as people and the API server write them, such as spec.steps[2].agent.prompt or limits[nvidia.com/gpu].

export type Segment = string | number;
export type Path = readonly Segment[];

export function formatPath(path: Path): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === 'number') return `${text}[${segment}]`;
    if (!/^[\w$-]+$/.test(segment)) return `${text}[${segment}]`;
    return text === '' ? segment : `${text}.${segment}`;
  }, '');
}

export function parsePath(text: string): Segment[] {
  const pieces = text.matchAll(/\[(\d+)\]|\[([^\]]*)\]|([^.[\]]+)/g);
  return [...pieces].map(([, index, key, name]) => (index === undefined ? (key ?? name ?? '') : Number(index)));
}
