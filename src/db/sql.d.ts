/** Migrations are imported `with { type: "text" }`, so the executable carries them. */
declare module "*.sql" {
  const text: string;
  export default text;
}
