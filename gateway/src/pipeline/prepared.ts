// A request as one Model gets it: with the settings of the Model, and with its format in words if it must be.
import type { ProviderModel } from '@kadre/crds';
import type { ModelRequest } from '../conversation/request.ts';
import type { Catalog } from '../providers/catalog.ts';
import type { FormatMode } from '../providers/provider.ts';
import { withParameters } from './estimate.ts';
import { inWords, type JsonFormat } from './output-format.ts';

interface Prepared {
  asked: ModelRequest;
  /** The format to which the answer is held, and by whom. */
  format?: { output: JsonFormat; mode: FormatMode };
}

export function preparedFor(model: ProviderModel, request: ModelRequest, catalog: Pick<Catalog, 'provider'>): Prepared {
  const asked = withParameters(request, model);
  const { output } = asked;
  if (output === undefined || output.type === 'text') return { asked };
  const mode = model.spec.structuredOutput ?? catalog.provider(model.spec.provider).formatMode(asked, model);
  return { asked: mode === 'instruction' ? inWords(asked, output) : asked, format: { output, mode } };
}
