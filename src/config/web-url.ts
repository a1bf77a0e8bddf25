// What an address of a page must be. Pure.

/** What is wrong with it and what to write instead; never quotes it, since it may be a secret. */
export function urlProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || !/^https?:\/\//i.test(text))
    return 'it is no http or https address; write one like https://alerts.example/tandem';
  if (url.username !== '' || url.password !== '')
    return 'it holds a name or password; write them into header_file ("Authorization: Basic …")';
  if (url.hash !== '') return 'a part after # is never sent; write it without';
  return undefined;
}
