// Steps that the gateway carries out: calls of tools, and code in a sandbox.
import type { CodeStep, ToolStep } from '@kadre/crds';
import type { Scope } from '../expression/node.ts';
import { compileTemplate, type Report } from '../expression/template.ts';
import { anyType, closedMap, stringType, type Type } from '../expression/types.ts';
import { nounOf } from '../expression/values.ts';
import type { CodeAction, ToolAction } from '../plan.ts';

export function compileTool(tool: ToolStep, path: string, scope: Scope, report: Report): ToolAction {
  if (tool.args === undefined) return { kind: 'tool', tool };
  const args = compileTemplate(tool.args, `${path}.args`, scope, report);
  const { kind } = args.type;
  if (kind !== 'any' && kind !== 'map')
    report(`${path}.args`, `takes an object with the arguments of the tool, not ${nounOf(kind)}`);
  return { kind: 'tool', tool, args };
}

/** Of a code step. Of the files nothing is known but that they are told by their paths. */
export const outputOfCode: Type = closedMap([
  ['result', anyType],
  ['stdout', stringType],
  ['stderr', stringType],
  ['files', { kind: 'map' }],
]);

export function compileCode(code: CodeStep, path: string, scope: Scope, report: Report): CodeAction {
  const { input, files = [] } = code;
  checkPaths(files, `${path}.files`, report);
  return {
    kind: 'code',
    code,
    ...(input !== undefined && { input: compileTemplate(input, `${path}.input`, scope, report) }),
    files: files.map((file, i) => ({
      path: file.path,
      content: compileTemplate(file.content, `${path}.files[${i}].content`, scope, report),
    })),
  };
}

function checkPaths(files: NonNullable<CodeStep['files']>, path: string, report: Report): void {
  const seen = new Set<string>();
  for (const [i, file] of files.entries()) {
    if (seen.has(file.path)) report(`${path}[${i}].path`, `the file ${file.path} is there twice: remove one`);
    if (file.content === undefined) report(`${path}[${i}].content`, 'is missing: say what is in the file');
    seen.add(file.path);
  }
}
