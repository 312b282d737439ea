let () =
  print_endline (Words.join ());
  Printf.printf "%d %b %d\n" (Words.fib (Words.Inner.twice 5)) (Words.Inner.( =~ ) 1 2) (Words._hidden 1)
