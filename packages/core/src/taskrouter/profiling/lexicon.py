"""What the rules listen for: phrases and weights by task type.

The weights are small integers on one scale: 1 is a hint, 3 speaks for the type, 6 decides unless something contradicts.
Phrases are written in lower case without punctuation, as `profiling.text.split` leaves them, and separated by commas;
where several fit at one place the longest counts, once per text.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Final, NamedTuple, TypeAlias

Table: TypeAlias = Mapping[str, Mapping[int, str]]
"""Task type -> weight -> phrases."""

Weights: TypeAlias = tuple[tuple[str, int], ...]
"""(task type, weight)s."""


class Entry(NamedTuple):
    """The phrases that begin with one word."""

    alone: Weights
    """Weights of the word by itself."""
    followed: dict[str, list[tuple[list[str], Weights]]] | None
    """Second word -> (the words after it, weights), longest phrase first; None where no phrase goes on."""


Lexicon: TypeAlias = Mapping[str, Entry]
"""First word -> the phrases that begin with it."""

NAMES: Final[Table] = {
    "code_generation": {
        6: (
            "coder, programmer, codegen, codewriter, sqlgen, nl2sql, text2sql, code writer, code generator, "
            "code generation, generate code, write code, code agent, sql generator, generate sql, write sql, sql agent"
        ),
        4: "coding, developer, implementer",
        2: "code, sql",
    },
    "code_repair": {
        6: "debugger, debug, fixer, bugfix, repair, bugfixer, patcher, hotfix",
        5: "fix, patch, swe",
    },
    "planning": {
        6: "planner, planning, plan, replan, replanner, decomposer, orchestrator",
        5: "coordinator, strategist, decompose, scheduler, supervisor, manager",
    },
    "tool_use": {
        6: "browser, surfer, websurfer, executor, toolcaller",
        5: "tools, tool, booking, operator, react, search, searcher, execute, act",
    },
    "verification": {
        6: (
            "verifier, critic, reviewer, grader, judge, validator, evaluator, checker, critique, auditor, "
            "reflection, reflect, verify, validate, evaluate, review, grade, factcheck, factchecker"
        ),
        5: "check, tester, qa check, guard, guardrail, score, scorer",
    },
    "retrieval": {
        6: (
            "retriever, retrieve, retrieval, reranker, rerank, query rewriter, rewrite query, query rewrite, "
            "query generator, generate query, transform query, query expansion, condense question, hyde, "
            "rewrite question"
        ),
    },
    "reasoning": {
        6: "reasoner, solver, math, mathematician, thinker",
        5: "reasoning, think, solve, logic",
    },
    "summarization": {
        6: (
            "summarizer, summariser, summarize, summarise, summary, summarization, synthesizer, synthesize, digest, "
            "compressor"
        ),
        4: "reporter, report, aggregator",
    },
    "extraction": {
        6: "extractor, extract, extraction, parser, ner",
        4: "parse, scraper",
    },
    "rewriting": {
        6: "rewriter, rewrite, editor, paraphraser, proofreader, polish, formatter, reviser",
        4: "edit",
    },
    "translation": {
        6: "translator, translate, translation, localizer, localization",
    },
    "classification": {
        6: (
            "classifier, classify, router, triage, categorizer, routing, intent, labeler, tagger, selector, "
            "moderator, classification, sentiment"
        ),
        4: "route, dispatcher",
    },
    "closed_qa": {
        6: "rag, docqa, answer from documents, grounded answer",
        4: "generate answer, answerer",
    },
    "open_qa": {
        5: "faq, knowledge, expert qa, trivia",
    },
    "creative_writing": {
        6: "copywriter, storyteller, novelist, poet, blogger, ghostwriter, screenwriter",
        5: "writer",
    },
    "brainstorming": {
        6: "brainstormer, brainstorm, ideator, ideation, ideas",
    },
    "chat": {
        6: "chitchat, smalltalk, companion, chatbot, greeter",
    },
}
"""Words in the names of agents and nodes."""

ROLES: Final[Table] = {
    "code_generation": {
        6: (
            "code writer, programming assistant, coding assistant, coding agent, write code, writes code, "
            "expert programmer, python programmer, you write sql, write sql, generate sql, sql queries, "
            "write python code, coder, software developer, senior developer, implement the function, "
            "implement the requested, code generation, generate code, sql query, write a function, write functions, "
            "write programs"
        ),
        4: (
            "programmer, developer, your code, python code, shell script, code block, code blocks, markdown code, "
            "engineer who writes, frontend, backend, syntactically correct, unit tests"
        ),
        2: "coding, code, python, javascript, typescript, sql, programming, scripts, implement",
    },
    "code_repair": {
        6: (
            "buggy, fixing bugs, swe agent, debugging expert, fix the bug, fix bugs, fix the issue, repair code, "
            "failing tests, resolve the github issue, resolve github issues, find the bug, debugging, debugger, "
            "fix the code, fix errors in, return a patch, resolve the issue, fix failing, make the tests pass, "
            "error in the code"
        ),
        3: "patch, github issue, debug, stack trace, traceback, bug",
    },
    "planning": {
        7: (
            "planning agent, planning assistant, planner, break down complex, break down the, break the task, "
            "break the users, break down tasks, subtasks, sub tasks, decompose the task, step by step plan, "
            "task decomposition, orchestrator, create a plan, devise a plan, update your plan, come up with a plan, "
            "make a plan, ordered steps, project manager, roadmap, roadmaps, decompose tasks, break objectives, "
            "break goals, list of steps, study plan, replan, action plan, plan of action, high level plan"
        ),
        4: (
            "coordinator, coordinate, coordinating, delegate, delegating, milestones, plan, plans, planning, "
            "which specialist, in which order, prioritize tasks, dependencies between, schedule, itinerary"
        ),
        2: "objective, steps, strategy",
    },
    "tool_use": {
        6: (
            "using tools, access to tools, access to the following tools, call the right function, call functions, "
            "function calling, use available functions, use the browser, call the appropriate tool, use the tools, "
            "use tools, web surfer, browser tool, use available tools, appropriate tool, using the tools, "
            "available tools, tools provided, the tools available, action input, tool calls, call tools, "
            "use the tool, use the search tool, use the provided tools, your tools, function calls, tools to help, "
            "call the tool, with tools, operate a browser, control a browser"
        ),
        4: (
            "tool, tools, function call, search tool, the api, apis, handoff, hand off, transfer to, call the, "
            "refund, booking, book, customer service agent, customer support agent, look up, make one search, "
            "web search, search the web, execute the, cancel, order status"
        ),
        2: "search engine, browse, actions, customer, invoke",
    },
    "verification": {
        7: (
            "grader, critic, reviewer, fact checker, verifier, judge, validator, evaluator, auditor, you verify, "
            "code review, grading, assessing, binary score, you are evaluating, evaluate the correctness, "
            "evaluate if, evaluate whether, verify whether, verify that, check whether, check that, "
            "evaluate the quality, impartial judge, constructive feedback, grade the, whether the answer, "
            "whether an answer, is grounded, supported by, critique the, providing feedback, provide feedback, "
            "verify the, points out errors, point out errors, find flaws, evaluation criteria, review the code, "
            "review code, quality assurance, double check, hallucination, hallucinations, meets the requirements, "
            "rubric, faithfulness, audit"
        ),
        4: (
            "verify, evaluate, evaluating, review, critique, feedback, approve, assess, correctness, score, "
            "validate, verification, judging, grade, verdict, review the"
        ),
        2: "check, rate, quality, yes or no, errors, mistakes, criteria, compliance",
    },
    "retrieval": {
        7: (
            "query generation, search queries, rewrite user questions, standalone question, standalone search, "
            "rerank, reranks, reranker, for retrieval, rewrite the question, question re writer, question rewriter, "
            "optimized search, query expansion, multiple versions of the, query rewriting, rewrite the query, "
            "reformulate, improved question, generate queries, underlying semantic intent, sub queries, subqueries, "
            "hypothetical document, search query that"
        ),
        3: "retrieval, retrieve, query, queries, vector database, relevant documents, by relevance",
    },
    "reasoning": {
        6: (
            "math expert, math reasoning, solve the problem, math problem, math problems, think step by step, "
            "mathematician, logic puzzles, puzzle solver, final answer in boxed, word problems, solve math, "
            "logical reasoning, math tutor, solving problems step by step, reason step by step, quantitative, "
            "derive, prove, statistician, physicist"
        ),
        3: "reasoning, mathematics, math, boxed, calculations, calculate, logic, numerical, solve, step by step",
    },
    "summarization": {
        7: (
            "summarizer, summary agent, you summarize, summarize documents, summarize the, concise summary, "
            "summarise the, report writer, synthesize the, synthesize these, literature review, summarizes, "
            "condense, progressively summarize, summarization, meeting notes, tl dr, brief summary, "
            "combine the notes, summarising, summarizing, provide a summary, create a summary, write a summary, "
            "executive summary, your summary, distill, summary of, synthesize research, final report"
        ),
        3: (
            "reports, synthesis, summary, summaries, summarize, summarise, synthesize, report, digest, key points, "
            "recap, compress, minutes"
        ),
    },
    "extraction": {
        7: (
            "extraction algorithm, information extraction, extract structured, you extract, extract the, "
            "extract all, extract information, extract relevant, extract entities, extraction engine, "
            "entities and relations, key value pairs, fill in the fields, extracts, extractor, data extraction, "
            "named entities, extracted from the text, parse the, parse resumes, parse invoices, you parse, "
            "json with the fields"
        ),
        3: (
            "extract, entities, fields, verbatim, identify, invoices, matching the schema, parse, extraction, "
            "null when, if missing, attributes, parser"
        ),
    },
    "rewriting": {
        7: (
            "editor, copy editor, proofreader, rewrite the, rewrite users, improve grammar, correct grammar, "
            "revise the draft, polishing, paraphrase, convert text, you rewrite, edited text, grammar and, rephrase, "
            "reformat, improve clarity, polish, correct spelling, simplify the text, tone of voice, "
            "improve the writing, plain language, rewrites"
        ),
        3: "rewrite, revise, grammar, spelling, tone, concise version, proofread, drafts, draft, edit, clarity",
    },
    "translation": {
        8: (
            "translator, you translate, translate the, translate everything, translation agent, localization agent, "
            "translates, interpreter, translation engine, professional translator, translate documents, "
            "localization, localizer, translate from, translate user, translate text, translate all, "
            "translate messages, translate into, translate to"
        ),
        4: "translate, translation, target language, translations, source language",
    },
    "classification": {
        7: (
            "classifier, classify, triage agent, categorize, routing a user, router, next speaker, triage, "
            "categorise, sentiment analysis, intent of, the intent, one of the following categories, "
            "select the next, only return the label, determine the category, labels the, moderation, "
            "content moderator, spam detection, classifies, route the, route the user, assign a label, assign one, "
            "intent detection, exactly one label, following labels, following classes, binary choice, routing, "
            "select which, decide which agent, which agent should, return only the category"
        ),
        4: (
            "category, categories, label, labels, sentiment, intent, urgency, topics, classification, priority, "
            "spam, decide which, only return"
        ),
    },
    "closed_qa": {
        7: (
            "retrieved context, provided documents, provided context, following context, context below, "
            "following documents, ground every claim, pieces of context, using only the, answer only from, "
            "based on the context, rag assistant, given context, uploaded pdf, from the context, cite sources, "
            "given documents, documents provided, context provided, only the context, only the provided, "
            "knowledge base articles, documents to answer, use the context, questions about the document, "
            "answer from the, context information, provided sources, uploaded document, retrieved documents to answer"
        ),
        3: "dont know say, question answering, say that you dont, context, documents, citations, cite, passages",
    },
    "open_qa": {
        5: (
            "answer the question as, answer questions about, answer the question based upon your, your knowledge, "
            "knowledgeable assistant, answer general, trivia, answer factual, answer questions on, knowledgeable, "
            "encyclopedia, question answering tasks, answers questions, answer user questions, explain concepts, "
            "answer the question, explains concepts, general knowledge, you answer questions, tutor, you explain"
        ),
        2: "answer questions, multiple choice, explain, questions, teacher",
    },
    "creative_writing": {
        7: (
            "writer agent, copywriter, creative writer, storyteller, novelist, poet, ghostwriter, marketing copy, "
            "compelling copy, write stories, write a story, screenwriter, blog writer, songwriter, drafting posts, "
            "essay assistant, essays, essay writer, write engaging, content writer, speechwriter, playwright, "
            "write poems, fiction, blog posts, dungeon master, you write emails, write emails, social media posts, "
            "draft emails, draft replies, lyricist, cover letters, newsletter, press releases, children stories"
        ),
        3: (
            "story, stories, poem, copy, writer, creative, narrative, compose, posts, email, engaging, write, audience"
        ),
    },
    "brainstorming": {
        7: (
            "ideation, generate diverse ideas, brainstorm, brainstorming, generate ideas, creative ideas, "
            "quantity over quality, suggest options, idea generator, new ideas, ideas for, creative strategist, "
            "brainstorms, propose ideas, as many ideas, list of ideas, name ideas, name generator, "
            "recommendations for, divergent"
        ),
        3: "ideas, suggest, suggestions, recommend, diverse, alternatives, innovative, recommendations, inspiration",
    },
    "chat": {
        7: (
            "friendly companion, chats casually, chat casually, casual conversation, small talk, companion, "
            "chit chat, friendly chat, conversational partner, chatbot, talk with the user, converse with"
        ),
        3: "friendly, casual, chatty, empathetic, conversation with the user, banter, persona",
    },
}
"""What system prompts say of the role, mostly in their first sentences."""

REQUESTS: Final[Table] = {
    "code_generation": {
        6: (
            "write a function, write a script, write a program, write code, write a python, python script, "
            "write the code, code to, implement a, implement the, program that, write an sql, sql query, "
            "write a query, bash script, write a bash, write unit tests, unit test, unit tests, code for, "
            "python code, regex for, write a regex, a class that, python function, complete the code, function to, "
            "write a class, script that, function that, web app, single file, write tests, write property, "
            "java program, property based tests, shell script, code snippet, following code, my code, this code, "
            "the code, write sql, react component, write a dockerfile, implementiere, implementa, implementar, "
            "implémente, zaimplementuj, uygula, code the, in python, in java, in rust, in golang, in javascript, in c"
        ),
        4: (
            "implement, function, code, regex, test suite, dataclass, websocket server, sort algorithm, "
            "search algorithm, microservices, smart contract, script python, in go, parser, lexer, compiler, "
            "algorithm for, algorithm that"
        ),
        3: (
            "python, javascript, typescript, java, rust, golang, sql, html, css, bash, api, algorithm, django, "
            "flask, react, node, kotlin, swift, c, cpp, docker, kubernetes, postgres, vba, powershell, pandas, "
            "numpy, pytorch, tensorflow, unity, terraform, yaml, función, funktion, fonction, função, funkcję, "
            "fonksiyon, github, git, linux, mysql, laravel, vue, angular, spring, excel formula, matplotlib, pytest, "
            "script, nginx, arduino, godot, blender, opencv, fastapi, sqlalchemy, css3, jquery, php, ruby, perl, "
            "matlab, scala, haskell, verilog, assembly, cuda, webpack, nextjs, aws, azure, npm, pip, ansible"
        ),
        2: (
            "program, class, method, component, app, library, data structure, endpoint, server, compile, database, "
            "json, dataframe, loop, array, string, refactor, build, shader, plugin, extension, microservice, cli, "
            "frontend, backend, crud, deploy, query, table, command, package, config, module"
        ),
    },
    "code_repair": {
        7: (
            "fix the bug, fix this bug, fix bugs, fix this code, fix the code, debug this, find the bug, "
            "fix the error, correct the errors in the code, whats wrong with this code, why does this code, "
            "not working, doesnt work, fix my code, traceback most recent, stack trace, how do i debug, "
            "how do i fix, fix the failing, failing tests, steps to reproduce, identify and fix, repair the, "
            "test fails, tests fail, troubleshoot, fix the following code, why is my code, throws an exception, "
            "segmentation fault, fix the issue, fix this issue, fix this error, assertionerror, typeerror, "
            "nullpointerexception, keyerror, wont compile, does not compile, error when running"
        ),
        4: (
            "debug, fix, bug, bugs, traceback, exception, crashes, crash, fails, failing, broken, debuggen, corrige, "
            "corrija, behebe, stacktrace, corrigez, reparar, depurar, déboguer, napraw, arregla, sửa lỗi, hatayı, "
            "fehler"
        ),
        2: "error, errors, issue, warning, wrong, failed, leak, regression, timeout",
    },
    "planning": {
        7: (
            "create a plan, make a plan, step by step plan, plan for, project plan, study plan, roadmap, itinerary, "
            "to do list, todo list, action plan, give milestones, schedule the, plan a, plan the, plan my, syllabus, "
            "remaining steps, break down the task, break this down, next steps for, meal plan, workout plan, "
            "travel plan, training plan, what steps should i, give me a schedule, plan de, erstelle einen plan, "
            "lesson plan, curriculum, business plan, marketing plan, decompose the task, break the task, "
            "decide what to do next, list the remaining, milestones, planifica, planifie, plane eine, planeje, "
            "strategy for, marketing strategy, content calendar"
        ),
        3: (
            "plan, schedule, timeline, planning, steps to, strategy, phases, subtasks, objectives, checklist, "
            "prioritize, agenda, owners, dependencies"
        ),
    },
    "tool_use": {
        6: (
            "search for, search the web, use the browser, book a, book me, call the, look up, check the status, "
            "and report back, observation, order a, find a flight, find me a, send an email to, send a message to, "
            "set an alarm, set a timer, play some, remind me, current weather, weather in, stock price of, "
            "exchange rate, turn on, turn off, run the, open the, click on, navigate to, find out, fetch the, "
            "get the current, cancel my, track my, add to my, schedule a meeting with, transfer money, my balance, "
            "my account, browse to, log in to, download the, retrieve the latest"
        ),
        3: (
            "fetch, search, status, refund, flight, book, api call, latest, invoke, credit limit, reservation, calendar"
        ),
    },
    "verification": {
        7: (
            "review this, check whether, verify the, verify that, verify whether, fact check, is this correct, "
            "is it correct, is the correct answer, correct answer to the question, evaluate the quality, "
            "is the generated answer, grade the, act as a judge, which response is better, which answer is better, "
            "supported by the evidence, review the code, code review, point out any mistakes, what edge cases, "
            "reasonable answer, valid answer, a valid, is this claim, true or false, does the evidence, "
            "grounded in the, review this pull, please review, evaluate this, assess the, critique this, "
            "critique the, review the, check this, check the following, check my, proofcheck, is the answer, "
            "is the following claim, revisa este, revisa esta, révise, überprüfe, prüfe, vérifie, revise este, "
            "revise esta, kiểm tra, gözden geçir, sprawdź, audit, is the following answer, evaluate the following, "
            "reviewer, evaluate the answer, judge whether, compare response, proposed answer, double check, "
            "sanity check"
        ),
        3: (
            "verify, evaluate, review, assess, critique, claim, grade, feedback, evidence, judge, validate, "
            "vulnerabilities, rubric, correctness, violations, check if, correct, rate"
        ),
    },
    "retrieval": {
        7: (
            "standalone question, rewrite the question, rewrite the follow up, search query, search queries, "
            "rank these passages, rank the passages, rank the documents, relevant to the query, rerank, "
            "expand this query, query for the vector, sub queries, web search query, for retrieval, "
            "resolve the pronouns, which of the documents, most relevant passages, rephrase the question, "
            "find the passage, find documents, reformulate the question, follow up question, generate search, "
            "retrieve the relevant, by relevance, which passages, which documents"
        ),
        3: "retrieve, query, passages, documents, relevance, recall",
    },
    "reasoning": {
        6: (
            "prove that, prove the, prove, derive, solve step by step, solve the, solve for, calculate the, "
            "compute the, find the value, find the total, how much money, how old is, how fast, how many ways, "
            "what is the probability, the probability, find the area, logic puzzle, determine whether, "
            "find the number, find all, integral of, derivative of, demuestra, démontre, montre que, beweise, "
            "prove que, udowodnij, dimostra, chứng minh, kanıtla, ispatla, calcule, calcula, berechne, calculez, "
            "boxed, step by step solution, simplify, calculate how, math problem, the equation, system of equations, "
            "think step by step, solve this, what percentage, if and only if, induction, nash equilibrium, "
            "closed form, the maximum value, optimal strategy, the minimum, reason step by step, "
            "recurrence relation, estimate the cost, calculate, riddle, sudoku, puzzle, induktion, obtain, hitung, "
            "tính, résous, résoudre, resuelve, resolva, risolvi, löse, hesapla, oblicz, calcola"
        ),
        3: (
            "probability, equation, theorem, proof, compute, triangle, polynomial, matrix, integer, integers, "
            "sum of, percent, formula, equals, radius, volume, velocity, sequence, vertices, graph of, lemma, solve, "
            "estimate, logic, optimization, maximize, minimize, variance, distribution, angle, algebra, geometry, "
            "calculus, how much, how long, how far, twice, altogether, premise, hypothesis, entail, entailment, "
            "true, eigenvalues, convex, integral, derivative, mole, moles, pressure, electron, gcd, modulo, marbles, "
            "dice, coin"
        ),
    },
    "summarization": {
        7: (
            "summarize, summarise, summary of, give a summary, tl dr, tldr, brief overview, key points, main points, "
            "sum up, in one sentence, condense, write a title, generate a title, title for, concise summary, "
            "shorten this, resume este, resume los, resume el, resume la, résume, résumez, résumer, resuma, resumir, "
            "fasse, zusammenfassung, zusammen, riassumi, riepiloga, tóm tắt, özetle, podsumuj, streść, samenvatten, "
            "vat samen, synthesize these, distill, brief summary, short summary, summarizing, summarization, "
            "highlights of, give an overview, key takeaways, summary, create a summary, recap"
        ),
        3: "brief, overview, gist, takeaways, condensed, synthesize, abstract, outline of, briefly",
    },
    "extraction": {
        7: (
            "extract, find all mentions, list all the, list all names, named entities, key concepts, copy verbatim, "
            "pull out, identify all, from this passage list, into json, as json with, return json with, key value, "
            "extrae, extraire, extrais, extraia, extrahiere, estrai, trích xuất, wyodrębnij, çıkar, "
            "list the parties, line items, find the names, extracting, extraction, fill in the fields, all dates, "
            "email addresses, the relation"
        ),
        3: (
            "entities, mentions, fields, attributes, verbatim, parse, names of, relation, concepts, json, triples, "
            "spans"
        ),
    },
    "rewriting": {
        7: (
            "rewrite, rephrase, paraphrase, reword, make it sound, correct grammar, correct the grammar, "
            "fix the grammar, improve this text, improve the text, make this paragraph, more professional, "
            "more formal, simplify this text, simplify the following, proofread, reformat this, reformat, "
            "means the same thing, same meaning, polish this, shorter and clearer, edit this, edit the following, "
            "reescribe, réécris, reformule, reescreva, umschreiben, formuliere, riscrivi, viết lại, przepisz, "
            "yeniden yaz, combine the sentences, one sentence, correct the, convert it to, convert this to, "
            "change the tone, spelling and punctuation, into simpler, change the, convert the sentence, "
            "convert the text, verbessere, make it more, make this more, sound more, corrige el texto, "
            "in the style of"
        ),
        3: (
            "grammar, tone, spelling, punctuation, clearer, revise, formal, sentence, draft, wording, capitalize, "
            "concise, convert, expand, edit, improve, punctuate, split"
        ),
    },
    "translation": {
        8: (
            "translate, translating, translation of, how do you say, traduce, traduis, traduisez, traduzca, traduza, "
            "übersetze, übersetzen, traduci, traducir, traduire, vertaal, dịch sang, dịch, przetłumacz, çevir, "
            "tercüme, spanish version, french version, german version, second language, terjemahkan, översätt, "
            "into spanish, into french, into german, into chinese, into japanese, into english, into italian, "
            "into portuguese, into korean, into russian, into arabic, into hindi, into turkish, translated into, "
            "traducción, traduction"
        ),
        3: "translation, in spanish, in french, in german, in japanese, in chinese",
    },
    "classification": {
        7: (
            "classify, categorize, categorise, which category, what category, sentiment, spam or not, "
            "positive or negative, belongs to, is this review, is this email, label the, assign a, "
            "one of the following categories, following categories, what type of, offensive or not, decide whether, "
            "decide if, decide which, determine the sentiment, what is the topic, what is the intent, the intent, "
            "toxic, hate speech, how many stars, clasifica, classifie, klassifiziere, classifique, classifica, "
            "kategorisiere, phân loại, sınıflandır, sklasyfikuj, categories, what genre, part of speech, "
            "are duplicates, mean the same, duplicates, classified as, is it spam, into one of, "
            "which of the following categories, does this review, what emotion, same thing"
        ),
        3: (
            "category, label, labels, spam, genre, offensive, topic of, positive, negative, class, emotion, rating, "
            "stars, duplicate, priority, subjective, objective, ham"
        ),
    },
    "closed_qa": {
        7: (
            "answer the following question, given this paragraph, this paragraph, read the below, the below text, "
            "the following paragraph, read the below conversation, based on the passage, based on the article, "
            "according to the article, according to the passage, according to the text, given the following passage, "
            "read the following, read the passage, answer the following question based, based on the context, "
            "using the context, answer from the, context and answer, from the passage, given the passage, "
            "given the paragraph, given the context, based on the following, after reading, use the context, "
            "from the article, in the passage, in the article, the following context, the following article, "
            "from the text, given the article, read this, based on the document, based on this, the passage below, "
            "here is a passage, using only the"
        ),
        3: (
            "passage, paragraph, context, the article, article, story, document, excerpt, answer, text below, read, "
            "given"
        ),
    },
    "open_qa": {
        6: (
            "what is, what are, explain, explain how, how does, difference between, whats the difference, compare, "
            "differences between, what does, stand for, pros and cons, define, vs, describe the, was ist, o que é, "
            "qué es, quest ce, là gì, nedir, what is the difference"
        ),
        5: (
            "who is, who was, who wrote, when did, when was, where is, where was, which country, what do, whats the, "
            "how do, why is, why do, why does, what was, tell me about, whats, walk me through, how is, how are, "
            "can you explain, what year, the meaning of, qué, quién, cómo funciona, cuál es, explica, qu est, "
            "quel est, quelle est, qui, comment, explique, was sind, wie, wer, erkläre, warum, o que, como, qual, "
            "quem, cosa, che cos, spiega, giải thích, nasıl, açıkla, czym, co to, wyjaśnij, jak, what happens, "
            "best answer, compara, what causes, what kind, does the, do the, vergleiche, qué significa, discuss the, "
            "choose the correct, is the, are the, instructions for, step by step guide"
        ),
        3: "who, when, where, why, how to, how can, how should, how do i, is there, describe",
        2: (
            "what, how, which, meaning, question, difference, definition, discuss, trade offs, origin, history, "
            "options, choices, guide, tip"
        ),
    },
    "creative_writing": {
        7: (
            "write a story, short story, write a poem, a poem, write an essay, essay, haiku, lyrics, song, "
            "screenplay, script for a, write a letter, write an email, cover letter, blog post, write a blog, "
            "social media post, write a speech, write a review, write me a, dialogue, monologue, fanfic, fanfiction, "
            "write a tweet, advertisement, product description, press release, caption, captions, slogan, tagline, "
            "novel, roleplay, a story, write an article, write a post, linkedin, write a scene, limerick, sonnet, "
            "rap, job description, a letter, cuento, poema, histoire, gedicht, geschichte, história, racconto, "
            "poesia, truyện, wiersz, opowiadanie, şiir, hikaye, poème, conversation between, write a conversation, "
            "newsletter, an email, email to, write lyrics, invitation, story about, write a paragraph, "
            "write a sentence, write a short, hook, toast, eulogy, obituary, cartoon, ad copy, compliment, "
            "write a template, write an episode, sitcom, epilogue, prologue, scenario, writing prompt, "
            "continue the story, song about, this song, the lyrics, backstory"
        ),
        4: (
            "story, poem, write about, compose, letter, email, character, characters, fiction, plot, chapter, tweet, "
            "speech, article, humor, humorous, narrative, fantasy, novelist, dnd, poetic, script, scene, write an, "
            "dramatic, romantic, protagonist, persuasive, book, episode, imagine"
        ),
        2: (
            "write, create, creative, style, post, funny, draft, blog, description, generate, template, paragraph, "
            "describe, tell, escribe, écris, schreibe, scrivi, escreva, hãy viết, continue"
        ),
    },
    "brainstorming": {
        7: (
            "brainstorm, give me ideas, ideas for, list of ideas, come up with, suggest some, suggest names, "
            "names for, think of, gift ideas, make a list, create a list, a list of, list some, alternatives to, "
            "give examples, recommend, suggest, some examples, give some, examples of, name some, name the top, "
            "as many, what could go wrong, ways to, name ideas, an idea, ideas, hashtags, playlist, list of, "
            "what other, synonyms, rhyme, lluvia de ideas, sugiere, suggère, propose, schlage, sugira, ideen, idées, "
            "suggerisci, gợi ý, öner, zaproponuj, give me an idea, list the, adjectives, list 10, list five, list 5, "
            "give me 5, give me 10, tips on, tips, recommendations, subtopics, topics for, best books"
        ),
        3: "list, possible, options for, examples, top, creative ways, possibilities, options, best, topics, skills",
    },
    "chat": {
        7: (
            "hello, hi, hey, thanks, thank you, good morning, good night, how are you, whats up, bye, goodbye, lol, "
            "are you a, do you like, do you have, who are you, what can you do, tell me a joke, your name, "
            "nice to meet you, are you an, do you own, your favorite, how old are you, see you, my name is, "
            "where are you from, hola, bonjour, hallo, olá, ciao, xin chào, merhaba, cześć, salut, buenos días, "
            "obrigado, gracias, merci, danke, grazie, good evening, how was your, what do you do, i feel, i am so, "
            "haha, whats your, ok, sounds good, tell me something, do you know any, are you human, are you real, "
            "your hobbies, your boss"
        ),
        3: "joke, funny, ai, bot, feeling, tired, okay, weekend, please repeat, no, yes",
        2: "you, your, im, i",
    },
}
"""What users ask for, in English and with a few words in other languages that put blanks between words."""

STEMS: Final[Table] = {
    "code_generation": {
        6: (
            "函数, 代码, 脚本, 关数, 関数, コード, スクリプト, プログラム, 실装, 함수, 코드, 스크립트, функци, "
            "скрипт, напиши код, программу, كود, دالة, برنامج, फ़ंक्शन, कोड, юнит-тест, 单元测试, ユニットテスト, "
            "단위 테스트"
        ),
        4: (
            "实现, 编写一个, 系统, 構築, システム, 구축, 編程, 编写, 実装, 구현, 파서, реализуй, реализуйте, نفذ, "
            "लागू करें, 작성해, 파이썬"
        ),
    },
    "code_repair": {
        7: (
            "调试, 修复, 报错, 误报, 如何排查, バグ, デバッグ, 修正して, エラー, 디버그, 버그, 오류, 오탐, исправь, "
            "отлад, ошибк, не работает, أصلح, خطأ, डीबग, ठीक करें, 排查"
        ),
    },
    "planning": {
        7: "制定计划, 计划, 計画を, 계획을, составь план, план для, خطة, योजना",
    },
    "verification": {
        7: (
            "审查, 检查, 评审, レビュー, 確認, 検証, 리뷰, 검토, 검증, проверь, проверьте, ревью, راجع, تحقق, "
            "समीक्षा, जाँच"
        ),
    },
    "reasoning": {
        7: (
            "证明, 推导, 求解, 求两, 証明, 導出, 求め, 解け, 증명, 유도, 구하, докаж, вывед, рассчит, найдите, "
            "определит, اثبت, أثبت, برهن, احسب, اشتق, सिद्ध, गणना, हल कर, 概率, 纳什"
        ),
        4: "计算, 計算, 계산, вычисл, задача, 多少, 数学, 问题",
    },
    "summarization": {
        8: "总结, 概括, 摘要, 要約, まとめ, 요약, резюм, кратк, обобщи, суммир, لخص, ملخص, सारांश, 概述",
    },
    "extraction": {
        8: "提取, 抽取, 抽出, 추출, извлек, استخرج, निकालें, निकालो",
    },
    "rewriting": {
        8: "改写, 润色, 重写, 書き直, 言い換え, 다시 써, 고쳐 써, 바꿔 써, перепиши, перефраз, أعد صياغة, पुनः लिख",
    },
    "translation": {
        9: "翻译, 翻訳, 訳して, 번역, перевед, перевод, ترجم, अनुवाद, 翻譯",
    },
    "classification": {
        8: "分类, 归类, 分類, 분류, классифи, категор, صنف, वर्गीकृत",
    },
    "open_qa": {
        5: (
            "什么是, 是什么, 什么, 解释, 为什么, 如何, 怎么, 区别, 比较, 介绍, とは, ですか, 説明, なぜ, 違い, 比較, "
            "무엇, 설명, 차이, 비교, 왜, 뭐, 어떻게, что такое, объясн, почему, как работает, кто, чем отлича, "
            "сравни, ما هو, ما هي, اشرح, لماذا, كيف, ما الفرق, قارن, क्या है, समझा, क्यों, कैसे, кака, 何, какой, "
            "어디, 谁"
        ),
    },
    "creative_writing": {
        8: (
            "故事, 小说, 写一首, 诗, 剧本, 文案, 物語, 小説, 俳句, 詩, 台詞, 歌詞, 脚本, 이야기, 소설, 시를, 가사, "
            "рассказ, стих, сказк, сценарий, письмо, пост для, قصة, قصيدة, कहानी, कविता, 作文, 散文, 对联, 诗句, "
            "小红书"
        ),
        3: "写, 書いて, 考えて, придумай, расскажи, представь, 써줘, 써 주, напиши, اكتب, लिख, 创作",
    },
    "brainstorming": {
        8: (
            "头脑风暴, 建议, 点子, アイデア, ブレスト, 提案, 아이디어, 제안, 추천, идеи, предлож, мозгов, أفكار, "
            "اقترح, सुझा, विचार दें, おすすめ"
        ),
    },
    "chat": {
        8: (
            "你好, 您好, 谢谢, こんにちは, ありがとう, 안녕, 감사, привет, здравствуй, спасибо, مرحبا, شكرا, नमस्ते, "
            "धन्यवाद"
        ),
    },
}
"""The same for scripts without blanks between words and for languages that inflect: pieces of words."""


def compiled(table: Table) -> Lexicon:
    """Arrange a table for one or two dictionary look-ups per word of a text."""
    phrases: dict[tuple[str, ...], dict[str, int]] = {}
    for task_type, by_weight in table.items():
        for weight, listing in by_weight.items():
            for phrase in listing.split(","):
                phrases.setdefault(tuple(map(intern, phrase.split())), {}).setdefault(task_type, weight)
    alone: dict[str, Weights] = {}
    followed: dict[str, dict[str, list[tuple[list[str], Weights]]]] = {}
    shared: dict[tuple[str, int], tuple[str, int]] = {}  # few distinct ones: a text touches less memory
    for words in sorted(phrases, key=len, reverse=True):
        weights = tuple([shared.setdefault(weight, weight) for weight in phrases[words].items()])
        if len(words) == 1:
            alone[words[0]] = weights
        else:
            followed.setdefault(words[0], {}).setdefault(words[1], []).append((list(words[2:]), weights))
    return {word: Entry(alone.get(word, ()), followed.get(word)) for word in followed | alone}


def pieces(table: Table) -> tuple[tuple[str, str, int], ...]:
    """List a table as (piece of a word, task type, weight) for scripts that a split into words does not serve."""
    return tuple(
        (piece.strip(), task_type, weight)
        for task_type, by_weight in table.items()
        for weight, listing in by_weight.items()
        for piece in listing.split(",")
    )
