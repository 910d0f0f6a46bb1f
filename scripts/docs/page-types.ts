import { registerHooks } from 'node:module';
import { openApiDocument } from './openapi-document.ts';

const HEADER = `// Generated from the OpenAPI document by \`npm run docs\`. Change the routes of src/http instead.
`;

/** Returns `ui/src/api-types.ts`: the requests and answers of the API as types, for the review page. */
export async function pageTypes(): Promise<string> {
  useTypeScriptApi();
  const { astToString, default: convert } = await import('openapi-typescript');
  // The service writes compact JSON, and the converter changes the document that it gets.
  const document = JSON.parse(JSON.stringify(await openApiDocument())) as Parameters<typeof convert>[0];
  const text = astToString(await convert(document));
  // The page does not use these two.
  return HEADER + text.replace(/^export type (?:webhooks|\$defs) = .*;\n/gm, '');
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
