import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendError, toHttpError } from './errors.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Answers a browser with a page that explains the error, and every other client with the error as JSON. */
export function sendErrorPage(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (!/\btext\/html\b/.test(request.headers.accept ?? '')) {
    sendError(request, reply, thrown);
    return;
  }
  const { status, error } = toHttpError(thrown);
  const [message, remedy] = [`${error.message}.`, error.remedy].map(escapeHtml);
  void reply
    .code(status)
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html>
<html lang="en">
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<title>Sign-in failed – secretbridge</title>
<h1>You are not signed in</h1>
<p>${message}</p>
<p>${remedy}</p>
<p>Code ${error.code}, request ${escapeHtml(request.id)}</p>
<p><a href="login">Sign in again</a> or <a href="../">go to the review page</a></p>
</html>
`,
    );
}

function escapeHtml(text: string): string {
  const escaped = text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
  return escaped.charAt(0).toUpperCase() + escaped.slice(1);
}
