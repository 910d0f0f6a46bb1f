import type { Format } from './transport.ts';

/** https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html */
export const JSON_FORMAT: Format = {
  type: /^application\/(x-amz-json-1\.[01]|json)\s*(;|$)/i,
  isWhole: (text) => isObject(parse(text)),
  errorType(text) {
    const body = parse(text);
    if (!isObject(body)) return undefined;
    const name = body.__type ?? body.code;
    return typeof name === 'string' ? name : undefined;
  },
};

/** https://smithy.io/2.0/aws/protocols/aws-query-protocol.html */
export const XML_FORMAT: Format = {
  type: /^(text|application)\/xml\s*(;|$)/i,
  isWhole: (text) => /<\/\w+Response>\s*$/.test(text),
  errorType: (text) => /<Error>[\s\S]*?<Code>\s*([\w.]{1,100})\s*<\/Code>/.exec(text)?.[1],
};

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
