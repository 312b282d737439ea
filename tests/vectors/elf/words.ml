module Inner = struct
  let twice x = x * 2
  let ( =~ ) a b = a = b + 1
end

let names = [ "alpha"; "beta"; "gamma" ]
let join () = String.concat "," names
let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)
let _hidden x = x + List.length names
