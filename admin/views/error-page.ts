/** What a person sees when something was refused or went wrong: what, and what to do. Never a stack. */
import { type Html, html } from './html.ts';

export interface ErrorView {
  heading: string;
  what: string;
  /** Finds the line in the log. */
  requestId?: string;
}

export function errorPage({ heading, what, requestId }: ErrorView): Html {
  return html`<section class="act"><h1>${heading}</h1><p>${what}</p>${
    requestId && html`<p>The admin's log has more under <code>${requestId}</code>.</p>`
  }<p><a class="button" href="/">Back to the fleet</a></p></section>`;
}
