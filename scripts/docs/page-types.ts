import { registerHooks } from 'node:module';
import { openApiDocument } from './openapi-document.ts';

const HEADER = `// Generated from the OpenAPI document by \`npm run docs\`. Change the routes of src/http instead.
`;

/** Returns `ui/src/api-types.ts`: the requests and answers of the API as types, for the review page. */
export async function pageTypes(): Promise<string> {
  useTypeScriptApi();
  const { astToString, default: convert } = await import('openapi-typescript');
  const document = withoutErrors(await openApiDocument()) as Parameters<typeof convert>[0];
  return HEADER + shortened(astToString(await convert(document)));
}

interface Operation {
  readonly responses: Readonly<Record<string, unknown>>;
}

/** Returns a copy without the answers of failed requests, which have one form for all operations. */
function withoutErrors(document: object): object {
  // The converter changes its input, and the service writes compact JSON.
  const copy = JSON.parse(JSON.stringify(document)) as {
    readonly paths: Readonly<Record<string, Record<string, Operation>>>;
  };
  for (const methods of Object.values(copy.paths))
    for (const [method, operation] of Object.entries(methods)) {
      const answers = Object.entries(operation.responses).filter(([status]) => /^[23]/.test(status));
      methods[method] = { ...operation, responses: Object.fromEntries(answers) };
    }
  return copy;
}

/** Removes what no type of the page needs. */
function shortened(text: string): string {
  return text
    .replace(/^export type (?:webhooks|\$defs) = .*;\n/gm, '')
    .replace(/^ +(?:put|delete|options|head|patch|trace|header|cookie|path)\?: never;\n/gm, '')
    .replace(/^ +(?:responses|parameters|requestBodies|headers|pathItems): never;\n/gm, '')
    .replace(/^ +headers: \{\n +\[name: string\]: unknown;\n +\};\n/gm, '')
    .replace(/^ +\/\*\* @description Default Response \*\/\n/gm, '');
}

let isHooked = false;

/**
 * The converter needs the JavaScript API of TypeScript, which TypeScript 7 does not have. Another package contains that
 * API.
 */
function useTypeScriptApi(): void {
  if (isHooked) return;
  isHooked = true;
  const url = new URL('typescript-api.ts', import.meta.url).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'typescript' ? { url, shortCircuit: true } : next(specifier, context),
  });
}
