// Copies into the chart what it shares with config/: the kinds, the rights, the Services, the network policy and the
// admission policies have one source. `--check` writes nothing and fails on drift.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';

const ROOT = join(import.meta.dirname, '..');

interface Shared {
  template: string;
  /** Files, or folders of which every YAML file but the kustomization is taken. */
  from: string[];
  /** The value that switches it on. */
  when?: string;
  /** Whether Helm leaves the objects where they are when the release is removed. */
  keep?: true;
  /** Text of the source -> what the chart has in its place. */
  replace?: [from: string, to: string];
}

const shared: Shared[] = [
  { template: 'crds.yaml', from: ['crds/manifests'], when: 'crds.install', keep: true },
  { template: 'rbac.yaml', from: ['config/rbac'] },
  {
    template: 'services.yaml',
    from: ['config/manager/service.yaml'],
    // With one pod, agents at work wait for it; with several, they get one that is ready.
    replace: ['publishNotReadyAddresses: true', 'publishNotReadyAddresses: {{ not (include "kadre.postgres" .) }}'],
  },
  { template: 'admission-policies.yaml', from: ['config/policy'], when: 'admissionPolicy.enabled' },
  {
    template: 'network-policy.yaml',
    from: ['config/network'],
    when: 'networkPolicy.enabled',
    // The last list of the object is the egress rules.
    replace: [
      '          protocol: TCP\n$',
      '          protocol: TCP\n    {{- with include "kadre.egress" . | trim }}\n    {{- . | nindent 4 }}\n    {{- end }}\n',
    ],
  },
];

interface KubernetesObject {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
}

/** The generated templates: path from the root of the repository -> content. */
export async function chartTemplates(root: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const piece of shared) files.set(`charts/kadre/templates/${piece.template}`, await template(root, piece));
  return files;
}

async function template(root: string, { from, when, keep, replace }: Shared): Promise<string> {
  const objects: string[] = [];
  for (const path of await yamlFiles(root, from)) {
    for (const document of parseAllDocuments(await readFile(join(root, path), 'utf8'))) {
      objects.push(manifest(document.toJS() as KubernetesObject, keep === true));
    }
  }
  let text = objects.join('---\n');
  if (replace) text = text.replace(new RegExp(replace[0]), () => replace[1]);
  const head = `{{- /* Generated from ${from.join(', ')} by \`npm run generate:chart\`; edit these instead. */}}\n`;
  return head + (when === undefined ? text : `{{- if .Values.${when} }}\n${text}{{- end }}\n`);
}

async function yamlFiles(root: string, from: string[]): Promise<string[]> {
  const lists = await Promise.all(
    from.map(async (path) => {
      if (path.endsWith('.yaml')) return [path];
      const names = (await readdir(join(root, path))).filter((name) => name.endsWith('.yaml'));
      return names.filter((name) => name !== 'kustomization.yaml').map((name) => `${path}/${name}`);
    }),
  );
  return lists.flat().sort();
}

function manifest(object: KubernetesObject, keep: boolean): string {
  const { metadata } = object;
  const marked = {
    ...object,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, LABELS: '' },
      ...(keep && { annotations: { ...metadata.annotations, 'helm.sh/resource-policy': 'keep' } }),
    },
  };
  return stringify(marked, { lineWidth: 0, aliasDuplicateObjects: false })
    .replaceAll('{{', () => '{{ "{{" }}')
    .replace(/^ {2}labels:\n((?: {4}.*\n)*?) {4}LABELS: ""\n/m, (_all, own: string) => {
      const others = own.replace(/^ {4}app\.kubernetes\.io\/part-of: .*\n/m, '');
      return `  labels:\n${others}    {{- include "kadre.labels" . | nindent 4 }}\n`;
    })
    .replace(/^( +)namespace: kadre-system$/gm, '$1namespace: {{ .Release.Namespace }}')
    .replaceAll("'system:serviceaccounts:kadre-system'", () => "'system:serviceaccounts:{{ .Release.Namespace }}'");
}

async function main(): Promise<void> {
  const wrong: string[] = [];
  for (const [path, content] of await chartTemplates(ROOT)) {
    if (!process.argv.includes('--check')) await writeFile(join(ROOT, path), content);
    else if ((await readFile(join(ROOT, path), 'utf8').catch(() => '')) !== content) wrong.push(path);
  }
  if (wrong.length === 0) return;
  console.error(`Not as \`npm run generate:chart\` would have it:\n${wrong.map((path) => `  ${path}`).join('\n')}`);
  process.exitCode = 1;
}

if (import.meta.main) await main();
