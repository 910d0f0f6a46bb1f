import { parseObject } from '../../core/json.ts';
import type { Format } from './transport.ts';

/** https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html */
export const JSON_FORMAT: Format = {
  type: /^application\/(x-amz-json-1\.[01]|json)\s*(;|$)/i,
  isWhole: (text) => parseObject(text) !== undefined,
  errorType(text) {
    const body = parseObject(text);
    const name = body?.__type ?? body?.code;
    return typeof name === 'string' ? name : undefined;
  },
};

/** https://smithy.io/2.0/aws/protocols/aws-query-protocol.html */
export const XML_FORMAT: Format = {
  type: /^(text|application)\/xml\s*(;|$)/i,
  isWhole: (text) => /<\/\w+Response>\s*$/.test(text),
  errorType: (text) => /<Error>[\s\S]*?<Code>\s*([\w.]{1,100})\s*<\/Code>/.exec(text)?.[1],
};
