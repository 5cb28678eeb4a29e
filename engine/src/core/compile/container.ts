// The step that runs a container. What the CRD says of the fields of such a step it can say of top-level steps only, so
// it is said here of all.
import type { ContainerStep } from '@kadre/crds';
import type { Scope } from '../expression/node.ts';
import { compileTemplate, compileText, type Report } from '../expression/template.ts';
import type { ContainerAction } from '../plan.ts';

export function compileContainer(
  container: ContainerStep,
  path: string,
  scope: Scope,
  report: Report,
): ContainerAction {
  const { command, args, env, input } = container;
  const texts = (list: string[], field: string) =>
    list.map((text, i) => compileText(text, `${path}.${field}[${i}]`, scope, report));
  checkNames(env ?? [], `${path}.env`, report);
  checkDevices(container, path, report);
  return {
    kind: 'container',
    container,
    ...(command && { command: texts(command, 'command') }),
    ...(args && { args: texts(args, 'args') }),
    ...(env && {
      env: env.map(({ name, value }, i) => ({
        name,
        value: compileText(value, `${path}.env[${i}].value`, scope, report),
      })),
    }),
    ...(input !== undefined && { input: compileTemplate(input, `${path}.input`, scope, report) }),
  };
}

function checkNames(env: NonNullable<ContainerStep['env']>, path: string, report: Report): void {
  const seen = new Set<string>();
  for (const [i, { name }] of env.entries()) {
    if (name.startsWith('KADRE_'))
      report(`${path}[${i}].name`, 'variables that begin with KADRE_ are set by Kadre; choose another name');
    if (seen.has(name)) report(`${path}[${i}].name`, `the variable ${name} is set twice: remove one`);
    seen.add(name);
  }
}

function checkDevices({ resources }: ContainerStep, path: string, report: Report): void {
  const { requests = {}, limits = {} } = resources ?? {};
  for (const [field, amounts] of Object.entries({ requests, limits })) {
    for (const [name, amount] of Object.entries(amounts)) {
      const at = `${path}.resources.${field}.${name}`;
      if (!name.includes('/')) continue;
      if (!/^\d+$/.test(amount))
        report(
          at,
          'devices such as nvidia.com/gpu come in whole numbers: write "1", or ask a GpuPool for them with gpu.count',
        );
      else if (field === 'requests' && limits[name] !== amount)
        report(at, `devices cannot be overcommitted: give limits the same number, ${amount}`);
    }
  }
}
