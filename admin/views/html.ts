/** What the admin's pages are written with: the templates of shared/html.ts, and links within the admin. */
export { escapeHtml, Html, type HtmlValue, html } from '../../shared/html.ts';

/** A local link: a fixed path with its query written safely. Undefined values are left out. */
export function link(path: `/${string}`, query: Record<string, string | undefined> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value);
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}
