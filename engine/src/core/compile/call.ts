// The step that runs another Workflow, whose input must fit as far as types are known.
import type { Step } from '@kadre/crds';
import type { Scope } from '../expression/node.ts';
import { meant } from '../expression/suggest.ts';
import { compileTemplate, isLiteral, type Report } from '../expression/template.ts';
import { anyType, isRecord, typeOfSchema, type Type } from '../expression/types.ts';
import { choices, nounOf } from '../expression/values.ts';
import type { Action } from '../plan.ts';
import type { Callees } from './callee.ts';

export function compileCall(
  { name, input }: NonNullable<Step['workflow']>,
  path: string,
  scope: Scope,
  callees: Callees,
  report: Report,
): { action: Action; output: Type } {
  const callee = callees(name);
  if (callee?.problem !== undefined) report(`${path}.name`, callee.problem);
  const template = input === undefined ? undefined : compileTemplate(input, `${path}.input`, scope, report);
  // A literal is held against the schema itself, which says more.
  if (callee?.inputSchema && template && !isLiteral(input))
    reportMisfits(template.type, callee.inputSchema, `${path}.input`, name, report);
  const action: Action = { kind: 'workflow', name, ...(template && { input: template }) };
  return { action, output: callee?.output ?? anyType };
}

/** What cannot fit whatever the values will be. */
function reportMisfits(type: Type, schema: unknown, path: string, callee: string, report: Report): void {
  const wanted = typeOfSchema(schema);
  if (!isRecord(schema) || type.kind === 'any' || wanted.kind === 'any') return;
  if (type.kind !== wanted.kind) {
    report(path, `the Workflow ${callee} takes ${nounOf(wanted.kind)} here, not ${nounOf(type.kind)}`);
    return;
  }
  if (type.kind === 'list' && type.element) reportMisfits(type.element, schema.items, path, callee, report);
  if (type.kind === 'map') reportFields(type, wanted, schema, path, callee, report);
}

function reportFields(
  type: Type,
  wanted: Type,
  schema: Record<string, unknown>,
  path: string,
  callee: string,
  report: Report,
): void {
  const { fields = new Map<string, Type>(), closed } = type;
  const known = [...(wanted.fields?.keys() ?? [])];
  const required = Array.isArray(schema.required) ? schema.required : [];
  for (const name of required)
    if (closed && typeof name === 'string' && !fields.has(name))
      report(path, `the Workflow ${callee} takes a field ${name} here: add it`);
  const properties = isRecord(schema.properties) ? schema.properties : {};
  for (const [name, field] of fields) {
    if (Object.hasOwn(properties, name)) reportMisfits(field, properties[name], `${path}.${name}`, callee, report);
    else if (wanted.closed && closed)
      report(`${path}.${name}`, `the Workflow ${callee} takes no field ${name}${meant(name, known) || choices(known)}`);
  }
}
