/** Runs functions one after the other, and prints what each of them has got as a line of JSON. */
export async function run(cases) {
  const [url, model] = process.argv.slice(2);
  for (const [name, get] of Object.entries(cases)) {
    const got = await get(url, model).catch((error) => `${error.stack}\n${JSON.stringify(error)}`);
    console.log(JSON.stringify({ name, got }));
  }
}
