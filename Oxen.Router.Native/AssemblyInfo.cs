using System.Runtime.CompilerServices;

// Every import is blittable: what the signature says is what the callee gets.
[assembly: DisableRuntimeMarshalling]
