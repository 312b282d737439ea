/** Fields of forms: each with its label, its help, and what is wrong with it. */
import type { ComponentChildren } from "preact";
import type { Complaint } from "../pages/gate.tsx";

/** What was typed, by field, and what is wrong with it. */
export interface FormState {
  readonly values: Readonly<Record<string, string>>;
  readonly errors: Readonly<Record<string, string>>;
  readonly complaint?: Complaint | undefined;
}

export interface FieldProps {
  readonly form: FormState;
  readonly name: string;
  readonly label: string;
  readonly help?: string;
  readonly required?: boolean;
}

/** What ties a field to its help and its error for a screen reader. */
export function described({ form, name, help }: FieldProps) {
  const ids = [
    help === undefined ? "" : `${name}-help`,
    form.errors[name] === undefined ? "" : `${name}-error`,
  ];
  const text = ids.filter((id) => id !== "").join(" ");
  return {
    id: name,
    name,
    ...(text === "" ? {} : { "aria-describedby": text }),
    ...(form.errors[name] === undefined ? {} : { "aria-invalid": true as const }),
  };
}

export function Around({ form, name, help, label, children }: FieldProps & { children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      {children}
      {help !== undefined && (
        <span class="help" id={`${name}-help`}>
          {help}
        </span>
      )}
      {form.errors[name] !== undefined && (
        <span class="error" id={`${name}-error`}>
          {form.errors[name]}
        </span>
      )}
    </div>
  );
}

export function Text(props: FieldProps) {
  return (
    <Around {...props}>
      <input
        {...described(props)}
        type="text"
        value={props.form.values[props.name] ?? ""}
        required={props.required === true}
        autocapitalize="none"
        autocomplete="off"
        spellcheck={false}
      />
    </Around>
  );
}

export function Area({ rows = 3, ...props }: FieldProps & { rows?: number }) {
  return (
    <Around {...props}>
      <textarea {...described(props)} rows={rows} spellcheck={false} autocapitalize="none">
        {/* Browsers take the first line end away. */ `\n${props.form.values[props.name] ?? ""}`}
      </textarea>
    </Around>
  );
}

export function Choice({
  options,
  none,
  ...props
}: FieldProps & { options: readonly string[]; none: string }) {
  const chosen = props.form.values[props.name] ?? options[0] ?? "";
  if (options.length === 0) return <Text {...props} help={none} />;
  return (
    <Around {...props}>
      <select {...described(props)}>
        {options.map((option) => (
          <option key={option} value={option} selected={option === chosen}>
            {option}
          </option>
        ))}
      </select>
    </Around>
  );
}
