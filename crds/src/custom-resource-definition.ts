// A kind -> its CustomResourceDefinition, as apiextensions.k8s.io/v1 reads it.
import type { Kind, PrinterColumn } from './kinds.ts';
import { GROUP, VERSION } from './meta.ts';
import { structural, type StructuralSchema } from './structural.ts';

/**
 * The CustomResourceDefinition of a kind.
 * @throws Error naming the field, when a schema holds something that a CRD cannot say
 */
export function customResourceDefinition(kind: Kind) {
  const { plural, singular, shortNames, scope } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, labels: { 'app.kubernetes.io/part-of': 'kadre' } },
    spec: {
      group: GROUP,
      names: { kind: kind.kind, listKind: `${kind.kind}List`, plural, singular, shortNames, categories: ['kadre'] },
      scope,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: kind.columns.map(printerColumn),
          schema: { openAPIV3Schema: objectSchema(kind) },
          subresources: { status: {}, ...(kind.scale && { scale: kind.scale }) },
        },
      ],
    },
  };
}

function printerColumn({ name, type, jsonPath, description, wide }: PrinterColumn) {
  return { name, type, jsonPath, description, ...(wide && { priority: 1 }) };
}

/** The schema of the whole object: what every Kubernetes object has, then spec and status. */
export function objectSchema(kind: Kind): StructuralSchema {
  return {
    type: 'object',
    description: kind.description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `The version of the schema of this object: ${GROUP}/${VERSION}.` },
      kind: { type: 'string', description: `What this object is: ${kind.kind}.` },
      // The API server describes it itself and refuses a description from others.
      metadata: { type: 'object' },
      spec: { ...structural(kind.spec, `${kind.kind}.spec`), description: 'What is wanted.' },
      status: {
        ...structural(kind.status, `${kind.kind}.status`),
        description: 'What is; written by Kadre alone.',
        // Without it, tools that wait for an object would take one that nobody has looked at for settled.
        default: { observedGeneration: -1 },
      },
    },
    'x-kubernetes-validations': kind.rules,
  };
}
