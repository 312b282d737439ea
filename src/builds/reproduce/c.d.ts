/** C sources are imported `with { type: "text" }`, to be compiled where they are used. */
declare module "*.c" {
  const text: string;
  export default text;
}
